"""What a fine-tuning leaves for the guards: facts of each validation, findings, one file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytestmark = pytest.mark.train
torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from agnews_cli.core.guards.training_facts import GuardReport  # noqa: E402
from agnews_cli.learn.adapters import updates  # noqa: E402
from agnews_cli.learn.door.events import EventLog  # noqa: E402
from agnews_cli.learn.stages.guarded import validations  # noqa: E402
from agnews_cli.learn.worker import _work  # noqa: E402
from tests.learn import tiny  # noqa: E402


def work(place: Path, method: str = "full", after: int | None = None, **training: object):
    """A run of words that say nothing of their label: to be right is to know the rows by heart."""
    data = place / "train.csv"
    if not data.exists():
        tiny.csv_file(data, {"a": 90, "b": 90}, signal=0.2)
        tiny.model_folder(place / "bert")
    held = {"cross_validated_below": 0, "validation_rows_at_least": 60}
    recipe = tiny.preset(place / "bert", held, precision="fp32", **training)
    recipe = recipe.model_copy(update={"method": tiny.method(method)})
    run = place / "run"
    run.mkdir(exist_ok=True)
    job = tiny.order(run, data, recipe, candidates=("finetune",))
    log = EventLog(run / "events.jsonl", started_monotonic_s=0, writes=True)
    return run, _work(job, log, tiny.Stop(run, after))


def events(run: Path, kind: str) -> list[dict]:
    lines = map(json.loads, (run / "events.jsonl").read_text().splitlines())
    return [one["data"] for one in lines if one["kind"] == kind]


def test_rows_learnt_by_heart_are_told_of_with_the_facts_of_every_validation(tmp_path):
    run, outcome = work(tmp_path, epochs=25, lr=2e-2, patience=100, batch_tokens=128)
    report = GuardReport.model_validate_json((run / "guards.json").read_text())
    (tuning,) = report.tunings
    told = events(run, "validated")
    assert [one.step for one in tuning.validated] == [one["step"] for one in told]
    assert len(told) == 25 and tuning.sampled_rows == tuning.held_rows == 60
    assert tuning.validated[-1].train_accuracy > tuning.validated[-1].accuracy + 0.2
    assert all(one.gradient_norm_most >= one.gradient_norm > 0 for one in tuning.validated)
    assert "overfitting" in {one["check"] for one in report.findings}
    assert events(run, "finding") == list(report.findings)
    assert any("nats" in note or "trained on" in note for note in outcome.notes)


def test_a_stop_and_what_goes_on_leave_the_same_facts_but_for_gradients(tmp_path):
    recipe = {"epochs": 4, "batch_tokens": 128, "patience": 100}
    (tmp_path / "1").mkdir()
    (tmp_path / "2").mkdir()
    straight, _ = work(tmp_path / "1", **recipe)
    work(tmp_path / "2", **recipe, after=9)
    cut, _ = work(tmp_path / "2", **recipe)
    gone = {"gradient_norm", "gradient_norm_most", "best"}
    each = [
        [one.model_dump(exclude=gone) for one in validations(run / "events.jsonl", "tiny")]
        for run in (straight, cut)
    ]
    assert each[0] == each[1] and len(each[0]) == 4


def test_updates_of_lora_have_a_rank_of_their_own(tmp_path):
    run, _ = work(tmp_path, method="lora", epochs=2, lr=1e-2)
    ranks = [one["update_rank"] for one in events(run, "validated")]
    assert all(1.0 <= rank <= 2.001 for rank in ranks)


def test_the_effective_rank_is_that_of_the_whole_product():
    torch.manual_seed(0)
    down, up = nn.Linear(30, 6, bias=False), nn.Linear(6, 20, bias=False)
    values = torch.linalg.svdvals(up.weight @ down.weight)
    shares = values[values > 1e-7] / values.sum()
    expected = float(torch.exp(-(shares * shares.log()).sum()))
    assert updates._rank(down.weight, up.weight) == pytest.approx(expected, rel=1e-4)
    assert updates._rank(down.weight, torch.zeros(20, 6)) is None
    same = torch.ones(20, 6)
    assert updates._rank(down.weight, same) == pytest.approx(1.0, abs=1e-3)
