"""Few rows validate by turns, and a run that is stopped among the turns goes on exactly."""

from __future__ import annotations

import json
from collections import Counter

import pytest

pytestmark = pytest.mark.train
np = pytest.importorskip("numpy")
torch = pytest.importorskip("torch")

from safetensors.torch import load_file  # noqa: E402

from agnews_cli.core.run.preset import Data  # noqa: E402
from agnews_cli.learn.rows.parts import folds_of, split_off  # noqa: E402
from tests.learn import tiny  # noqa: E402


@pytest.mark.parametrize(
    ("rows", "folds", "held"),
    [(60, 5, None), (100, 5, None), (300, 3, None), (500, 3, None), (599, 3, None), (600, 0, 200),
     (3000, 0, 300), (10_000, 0, 1000), (50_000, 0, 1000)],
)  # fmt: skip
def test_at_least_two_hundred_rows_validate_or_all_of_them_by_turns(rows, folds, held):
    data = Data()
    assert data.folds(rows) == folds
    assert held is None or round(data.held_share(rows) * rows) == held


def test_ten_thousand_rows_are_divided_as_the_preset_says():
    assert Data(validation_share=0.05).held_share(10_000) == 0.05


def test_folds_are_even_and_leave_rows_of_every_class_to_train_on():
    classes = np.asarray([0] * 53 + [1] * 7 + [2] * 2 + [3] * 2)
    fold = folds_of(classes, 5, seed=3)
    assert max(Counter(fold.tolist()).values()) - min(Counter(fold.tolist()).values()) <= 1
    for number in range(5):
        assert set(classes[fold != number]) == {0, 1, 2, 3}
    assert fold.tolist() == folds_of(classes, 5, seed=3).tolist()
    assert fold.tolist() != folds_of(classes, 5, seed=4).tolist()


def test_every_row_validates_once_and_the_delivered_model_is_trained_on_all(tmp_path):
    model = tiny.model_folder(tmp_path / "bert")
    data = tiny.csv_file(tmp_path / "d.csv", {"a": 30, "b": 20})
    done = tiny.compete(tmp_path / "run", data, tiny.preset(model))
    assert {c.facts.name for c in done.contenders} == {"linear", "tiny"}
    for contender in done.contenders:
        assert contender.validation.shape == (50, 2)
        assert contender.validation.sum(1) == pytest.approx(np.ones(50), abs=1e-4)
    assert done.contenders[0].facts.validation_accuracy > 0.9
    steps = [json.loads(x) for x in (tmp_path / "run" / "trace.jsonl").read_text().splitlines()]
    by_name = Counter(step["candidate"] for step in steps)
    assert set(by_name) == {"tiny", *(f"tiny-fold{n}" for n in range(1, 6))}
    assert by_name["tiny"] > by_name["tiny-fold1"]  # all rows make more steps
    # What a finished fold leaves is small.
    kept = tmp_path / "run" / "checkpoints"
    sizes = {
        folder.name: sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())
        for folder in kept.iterdir()
    }
    assert all(size < 5000 for name, size in sizes.items() if "fold" in name), sizes
    assert sizes["tiny"] > 20_000


def test_stopped_in_any_fold_and_gone_on_with_is_bit_for_bit_the_same(tmp_path):
    model = tiny.model_folder(tmp_path / "bert")
    data = tiny.csv_file(tmp_path / "d.csv", {"a": 16, "b": 14}, signal=0.6)
    recipe = tiny.preset(model, r_drop=1.0, linear_teacher=0.5)

    def trace(name: str) -> list[dict]:
        return [json.loads(x) for x in (tmp_path / name / "trace.jsonl").read_text().splitlines()]

    straight = tiny.compete(tmp_path / "straight", data, recipe)
    whole = trace("straight")
    starts = [n for n, step in enumerate(whole) if step["step"] == 1]
    for cut in (1, starts[1], starts[2] + 1, starts[-1] + 2):  # one run that is stopped each time
        assert tiny.compete(tmp_path / "cut", data, recipe, stop_after=cut).is_interrupted, cut
        assert trace("cut") == whole[:cut]  # no step is done again, and none differs
    resumed = tiny.compete(tmp_path / "cut", data, recipe)
    assert not resumed.is_interrupted
    assert trace("cut") == whole
    for one, two in zip(straight.contenders, resumed.contenders, strict=True):
        assert np.array_equal(one.validation, two.validation), one.facts.name
    weights = [load_file(tmp_path / n / "model/model.safetensors") for n in ("straight", "cut")]
    assert all(torch.equal(weights[0][key], weights[1][key]) for key in weights[0])


def test_under_a_budget_a_third_is_held_out_and_said(tmp_path):
    import time

    model = tiny.model_folder(tmp_path / "bert")
    data = tiny.csv_file(tmp_path / "d.csv", {"a": 60, "b": 60})
    now_s = time.monotonic()
    done = tiny.compete(
        tmp_path / "run", data, tiny.preset(model), blend=True,
        started_monotonic_s=now_s, deadline_monotonic_s=now_s + 12,
    )  # fmt: skip
    assert len(done.rows.held_classes) == 40
    assert "held out instead" in (tmp_path / "run" / "events.jsonl").read_text()


def test_a_class_of_a_few_rows_is_in_both_parts():
    classes = np.asarray([0] * 990 + [1] * 10)
    train, held = split_off(classes, share=Data().held_share(1000), seed=0)
    assert len(held) == 200
    assert set(classes[train]) == set(classes[held]) == {0, 1}
