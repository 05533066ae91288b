"""A run's id: of what decides the result, all of it, and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from agnews_cli.core.run.dataset import Dataset, File, Form
from agnews_cli.core.run.identity import run_id
from agnews_cli.core.run.preset import Preset
from agnews_cli.store.settings import presets


def dataset(**changes: Any) -> Dataset:
    facts: dict[str, Any] = {
        "name": "ag",
        "train": File(path="/a/train.csv", form=Form(format="csv"), rows=4, sha256="aa"),
        "test": File(path="/a/test.csv", form=Form(format="csv"), rows=2, sha256="bb"),
        "text_columns": ("title", "body"),
        "label_column": "class",
        "labels": ("World", "Sports"),
        "label_values": ("1", "2"),
    }
    return Dataset(**(facts | changes))


def file(**changes: Any) -> File:
    facts = {"path": "/a/train.csv", "form": Form(format="csv"), "rows": 4, "sha256": "aa"}
    return File(**(facts | changes))


@pytest.fixture
def preset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Preset:
    monkeypatch.setenv("AGNEWS_HOME", str(tmp_path / "home"))
    return presets.load("minilm")


PLAIN = (
    "{name: p, tier: encoder, summary: s, order: 1, training: {lr: 1e-4},"
    " model: {id: a/b, parameters: 5, licence: mit}}"
)


@pytest.fixture
def plain(tmp_path: Path) -> Preset:
    (tmp_path / "p.yaml").write_text(PLAIN)
    return presets.load(str(tmp_path / "p.yaml"))


@pytest.mark.parametrize(
    ("settings", "extra", "golden"),
    [
        ([], {"limit_train": None}, "p-a20d6d411c"),
        ([], {"limit_train": 100}, "p-56e3e5d3fb"),
        ([], {"budget_s": 60.0}, "p-e1fc5ad50f"),
        (["training.epochs=1"], {}, "p-d0bb8e1da6"),
        (["model.revision=abc", "data.validation_share=0.2"], {}, "p-d6983ca787"),
        (["method.kind=lora"], {}, "p-2ced0195a2"),
        (["method.kind=lora", "method.rank=8"], {}, "p-d7aa2ae9f8"),
    ],
)
def test_the_id_is_this_one_also_tomorrow(
    plain: Preset, settings: list[str], extra: dict[str, Any], golden: str
) -> None:
    """Pinned: an id that changes by accident makes every user's run start again."""
    assert run_id(presets.with_settings(plain, settings), dataset(), 7, extra) == golden


@pytest.mark.parametrize(
    "written",
    [
        PLAIN.replace("licence: mit", "licence: apache-2.0"),
        PLAIN.replace("parameters: 5", "parameters: 6"),
        PLAIN.replace("tier: encoder", "tier: platform"),
        PLAIN.replace("summary: s", "summary: better words"),
        PLAIN.replace("order: 1", "order: 2"),
        PLAIN.replace("licence: mit", "licence: mit, embedded: some-package"),
        PLAIN.replace("lr: 1e-4", "lr: 1e-4, epochs: 3.0, optimizer: adamw"),
        PLAIN.replace("name: p,", "name: p, method: {kind: full},"),
    ],
)
def test_correcting_a_fact_or_writing_out_what_is_usual_changes_no_id(
    plain: Preset, written: str, tmp_path: Path
) -> None:
    assert written != PLAIN
    (tmp_path / "p.yaml").write_text(written)
    corrected = presets.load(str(tmp_path / "p.yaml"))
    assert run_id(corrected, dataset(), 1, {}) == run_id(plain, dataset(), 1, {})


def test_what_does_not_decide_the_result_does_not_change_the_id(preset: Preset) -> None:
    same = run_id(preset, dataset(), 1, {})
    moved = dataset(
        name="other",
        train=file(path="/b/t.csv"),
        test=File(path="/b/x.csv", form=Form(format="csv"), rows=2, sha256="bb"),
        notes=("n",),
    )
    assert run_id(preset, moved, 1, {}) == same
    retold = preset.model_copy(update={"summary": "new", "order": 7})
    assert run_id(retold, dataset(), 1, {}) == same
    assert run_id(preset, dataset(), 1, {"b": 1, "a": 2}) == run_id(
        preset, dataset(), 1, {"a": 2, "b": 1}
    )


@pytest.mark.parametrize(
    "changed",
    [
        dataset(train=file(sha256="cc")),
        dataset(train=file(form=Form(format="csv", header=False))),
        dataset(train=file(form=Form(format="tsv"))),
        dataset(train=file(part="train")),
        dataset(test=None),
        dataset(validation=file(sha256="dd")),
        dataset(text_columns=("body", "title")),
        dataset(label_column="other"),
        dataset(labels=("Sports", "World")),
        dataset(label_values=("2", "1")),
    ],
)
def test_what_decides_the_result_changes_the_id(preset: Preset, changed: Dataset) -> None:
    assert run_id(preset, changed, 1, {}) != run_id(preset, dataset(), 1, {})


def test_settings_seed_and_extra_change_the_id(preset: Preset) -> None:
    ids = {
        run_id(preset, dataset(), 1, {}),
        run_id(preset, dataset(), 2, {}),
        run_id(preset, dataset(), 1, {"limit_train": 100}),
        run_id(presets.with_settings(preset, ["training.lr=2e-4"]), dataset(), 1, {}),
        run_id(presets.with_settings(preset, ["model.revision=abc"]), dataset(), 1, {}),
    }
    assert len(ids) == 5
    assert all(run.startswith("minilm-") and len(run) == len("minilm-") + 10 for run in ids)


def test_what_holds_when_time_is_short_is_part_of_a_run_with_a_budget_alone() -> None:
    preset = presets.load("minilm")
    other = presets.with_settings(preset, ["short_of_time.lr=5e-5"])
    for budget_s, is_same in ((None, True), (300.0, False)):
        one, two = (run_id(p, dataset(), 1, {"budget_s": budget_s}) for p in (preset, other))
        assert (one == two) == is_same
