"""A run's id: of what decides the result, all of it, and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import pytest

from agnews_cli.core.graph.shapes import Single, graph_of
from agnews_cli.core.run.combiner import Stack
from agnews_cli.core.run.dataset import Dataset, File, Form, Split
from agnews_cli.core.run.identity import run_id
from agnews_cli.core.run.preset import Preset
from agnews_cli.core.run.work import (
    Combine,
    EnsembleMember,
    Evaluate,
    Export,
    Predict,
    RunOutput,
    Work,
    reads,
)
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


def trained(preset: Preset, data: Dataset, seed: int = 0, **asked: Any) -> str:
    """The id of the training of one model."""
    graph = graph_of(Single(preset, asked.pop("weights", None)), data, seed, **asked)
    return graph.place


@pytest.mark.parametrize(
    ("settings", "asked", "golden"),
    [
        ([], {}, "p-9b0a5bb2a9"),
        ([], {"limit": 100}, "p-1cb5ab48a5"),
        ([], {"budget_s": 60.0}, "p-1a1519f4db"),
        ([], {"weights": "folder:aa"}, "p-c108005469"),
        (["training.epochs=1"], {}, "p-83cc13126f"),
        (["data.seed=1"], {}, "p-8524958a73"),
        (["model.revision=abc", "data.validation_share=0.2"], {}, "p-5320acb78f"),
        (["method.kind=lora"], {}, "p-9ba3ff5baf"),  # with the usual rate of the method
        (["method.kind=lora", "method.rank=8"], {}, "p-a1352e6aca"),
    ],
)
def test_the_id_is_this_one_also_tomorrow(
    plain: Preset, settings: list[str], asked: dict[str, Any], golden: str
) -> None:
    """Pinned: an id that changes by accident makes every user's run start again."""
    assert trained(presets.with_settings(plain, settings), dataset(), 7, **asked) == golden


ONE = RunOutput(run="a-0123456789")
WORKS: dict[str, tuple[Work, str]] = {
    "predict": (Predict(model=ONE), "p-0cf811bed7"),
    "predict what has no label": (Predict(model=ONE, of="unlabelled"), "p-efa57faabd"),
    "combine": (Combine(members=(EnsembleMember(models=(ONE,)),)), "p-6ede765ffc"),
    "stack": (
        Combine(how=Stack(), members=(EnsembleMember(models=(ONE,), unseen=(ONE,)),)),
        "p-45a3595ec5",
    ),
    "evaluate": (Evaluate(model=ONE), "p-3bd8d1a2bf"),
    "export": (Export(model=ONE, form="onnx"), "p-bbb9e4eff7"),
}


@pytest.mark.parametrize("name", WORKS)
def test_every_kind_of_work_has_its_id(name: str) -> None:
    work, golden = WORKS[name]
    assert run_id("p", work, dataset()) == golden


@pytest.mark.parametrize("name", WORKS)
def test_a_work_is_named_by_the_splits_that_it_may_read_and_by_no_others(name: str) -> None:
    work, _ = WORKS[name]
    for split in get_args(Split):
        other = dataset(**{split: file(sha256="ee")})
        is_named = run_id("p", work, other) != run_id("p", work, dataset())
        assert is_named == (split in reads(work)), split


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
    assert trained(corrected, dataset(), 1) == trained(plain, dataset(), 1)


def test_what_does_not_decide_the_result_does_not_change_the_id(preset: Preset) -> None:
    same = trained(preset, dataset(), 1)
    moved = dataset(
        name="other",
        train=file(path="/b/t.csv"),
        test=File(path="/b/x.csv", form=Form(format="csv"), rows=2, sha256="bb"),
        notes=("n",),
    )
    assert trained(preset, moved, 1) == same
    retold = preset.model_copy(update={"summary": "new", "order": 7})
    assert trained(retold, dataset(), 1) == same


def test_other_test_rows_are_another_evaluation_of_the_same_training(preset: Preset) -> None:
    one, two = (graph_of(Single(preset), dataset(test=file(sha256=x))) for x in ("bb", "cc"))
    assert one.place == two.place and one.target != two.target
    without = graph_of(Single(preset), dataset(test=None))
    assert without.target == without.place == one.place


@pytest.mark.parametrize(
    "changed",
    [
        dataset(train=file(sha256="cc")),
        dataset(train=file(form=Form(format="csv", header=False))),
        dataset(train=file(form=Form(format="tsv"))),
        dataset(train=file(part="train")),
        dataset(train=file(split_values=("train",))),
        dataset(train=file(bytes_read=100)),
        dataset(validation=file(sha256="dd")),
        dataset(text_columns=("body", "title")),
        dataset(label_column="other"),
        dataset(labels=("Sports", "World")),
        dataset(label_values=("2", "1")),
        dataset(cleaning="none"),
    ],
)
def test_what_decides_the_result_changes_the_id(preset: Preset, changed: Dataset) -> None:
    assert trained(preset, changed, 1) != trained(preset, dataset(), 1)


def test_settings_seeds_and_a_limit_change_the_id(preset: Preset) -> None:
    ids = {
        trained(preset, dataset(), 1),
        trained(preset, dataset(), 2),
        trained(preset, dataset(), 1, limit=100),
        trained(presets.with_settings(preset, ["data.seed=2"]), dataset(), 1),
        trained(presets.with_settings(preset, ["training.lr=2e-4"]), dataset(), 1),
        trained(presets.with_settings(preset, ["model.revision=abc"]), dataset(), 1),
    }
    assert len(ids) == 6
    assert all(run.startswith("minilm-") and len(run) == len("minilm-") + 10 for run in ids)


def test_what_holds_when_time_is_short_is_part_of_a_run_with_a_budget_alone() -> None:
    preset = presets.load("minilm")
    other = presets.with_settings(preset, ["short_of_time.lr=5e-5"])
    for budget_s, is_same in ((None, True), (300.0, False)):
        one, two = (trained(p, dataset(), 1, budget_s=budget_s) for p in (preset, other))
        assert (one == two) == is_same
