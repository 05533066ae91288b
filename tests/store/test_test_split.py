"""Where the data have no test split, some rows become one, and whoever trains never sees them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from agnews_cli.core.graph.shapes import Single, graph_of
from agnews_cli.core.run import test_rows
from agnews_cli.core.run.dataset import Dataset, Reading
from agnews_cli.core.run.job import TrainJob
from agnews_cli.store.data import datasets
from agnews_cli.store.data.datasets import RowCache
from agnews_cli.store.settings import presets
from tests.store.test_datasets import table, write


def rows(path: Path, classes: dict[str, int]) -> str:
    labels = [label for label, count in classes.items() for _ in range(count)]
    return write(path, table("text,label", *[f"text {n},{c}" for n, c in enumerate(labels)]))


@pytest.mark.parametrize(
    ("class_rows", "share", "taken"),
    [
        ((500, 500), None, (50, 50)),
        ((500, 499), None, ()),  # 99 rows: their interval is too wide
        ((500, 500), 0.0, ()),
        ((500, 499), 0.1, (50, 49)),  # who asks gets it
        ((900, 100), None, (90, 10)),
        ((5, 5), 0.5, (3, 2)),
        ((3, 3), 0.5, (1, 1)),  # the last two rows of a class train and validate
        ((2, 2), 0.5, ()),
        ((1000, 0, 2), None, (100, 0, 0)),
        ((150_000, 50_000), None, (7_500, 2_500)),  # 10,000 tell enough
        ((150_000, 50_000), 0.5, (7_500, 2_500)),
        ((3,) * 999, None, (1,) * 299 + (0,) * 700),
    ],
)
def test_how_many(class_rows: tuple[int, ...], share: float | None, taken: tuple[int, ...]) -> None:
    assert test_rows.drawn(class_rows, share) == taken


def test_they_are_rows_of_their_own_the_same_share_of_each_class(tmp_path: Path) -> None:
    found = datasets.find(rows(tmp_path / "x.csv", {"a": 900, "b": 300}))
    assert found.test is not None and found.is_test_drawn
    train, test = datasets.read(found, "train"), datasets.read(found, "test")
    assert (len(train.texts), len(test.texts)) == (found.train.rows, found.test.rows) == (1080, 120)
    assert Counter(test.classes) == {0: 90, 1: 30} == dict(enumerate(found.test.class_rows))
    assert not set(train.texts) & set(test.texts)
    assert len({*train.texts, *test.texts}) == 1200
    assert any("120 of the 1,200 rows (10%) are held out" in note for note in found.notes)
    again = datasets.find(rows(tmp_path / "elsewhere" / "x.csv", {"a": 900, "b": 300}))
    assert list(datasets.read(again, "test").texts) == list(test.texts)  # wherever, whenever


def test_without_them_it_is_said_what_the_figures_are(tmp_path: Path) -> None:
    source = rows(tmp_path / "x.csv", {"a": 30, "b": 30})
    for reading in (Reading(), Reading(test_share=0.0)):
        found = datasets.find(source, reading)
        assert found.test is None and found.train.rows == 60
        assert any("optimistic" in note for note in found.notes)
    few = datasets.find(source, Reading(test_share=0.1))
    assert few.test is not None and few.test.rows == 6
    assert any("only 6 rows" in warning for warning in few.warnings)


def test_a_test_split_of_the_data_stays_the_only_one(tmp_path: Path) -> None:
    for split in ("train", "test"):
        rows(tmp_path / f"{split}.csv", {"a": 1000, "b": 1000})
    found = datasets.find(str(tmp_path), Reading(test_share=0.3))
    assert found.test is not None and not found.is_test_drawn
    assert found.train.rows == found.test.rows == 2000
    assert any("--test-share is not used" in note for note in found.notes)


def test_another_share_is_another_run(tmp_path: Path) -> None:
    source = rows(tmp_path / "x.csv", {"a": 900, "b": 300})
    preset = presets.load("minilm")
    ids = {
        graph_of(Single(preset), datasets.find(source, Reading(test_share=share)), 0).place
        for share in (None, 0.0, 0.1, 0.2)
    }
    assert len(ids) == 3  # a tenth is what is usual


def job_of(found: Dataset, cache: RowCache, folder: Path) -> TrainJob:
    there = cache.rows(found)
    return TrainJob(
        run="r", folder=str(folder), cache=str(folder), preset=presets.load("minilm"),
        model_path="m", dataset=found, seed=0, started_monotonic_s=0.0,
        rows={split: str(path) for split, path in there.items() if split != "test"},
    )  # fmt: skip


@pytest.mark.parametrize("has_its_own", [True, False])
def test_who_trains_is_told_of_no_test_row(has_its_own: bool, tmp_path: Path) -> None:
    source = rows(tmp_path / "d" / "train.csv", {"a": 900, "b": 300})
    if has_its_own:
        rows(tmp_path / "d" / "test.csv", {"a": 20, "b": 20})
    cache = RowCache.of(tmp_path / "cache")
    found = datasets.find(str(tmp_path / "d"), cache=cache)
    job = job_of(found, cache, tmp_path)
    said = job.model_dump_json()
    assert found.test is not None and job.dataset.test is None
    assert "test.csv" not in said and cache.rows(found)["test"].name not in said
    if not has_its_own:  # and what it maps has not their bytes either
        content = Path(job.rows["train"]).read_bytes() + b"text"
        texts = datasets.read(found, "test").texts
        assert len(texts) == 120 and not any(f"{text}text".encode() in content for text in texts)
    assert source
