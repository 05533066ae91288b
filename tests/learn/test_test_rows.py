"""Whoever trains and chooses cannot look at a test row: the file may as well not be there."""

from __future__ import annotations

from pathlib import Path

import pytest

pytestmark = pytest.mark.train
np = pytest.importorskip("numpy")
torch = pytest.importorskip("torch")

from agnews_cli.core.run.job import TrainJob  # noqa: E402
from agnews_cli.errors import DataChanged, FileMissing  # noqa: E402
from agnews_cli.learn.combine import logits  # noqa: E402
from agnews_cli.learn.door.events import EventLog  # noqa: E402
from agnews_cli.learn.worker import _work  # noqa: E402
from agnews_cli.store.data import datasets  # noqa: E402
from agnews_cli.store.data.datasets import RowCache  # noqa: E402
from tests import looking  # noqa: E402
from tests.learn import tiny  # noqa: E402


def worked(folder: Path, data: Path, cache: RowCache, before: str = "") -> Path:
    """A run's folder after the worker; `before` it begins, that part of the test split is gone."""
    found = datasets.find(str(data), cache=cache)
    rows = cache.rows(found)
    assert found.test is not None
    recipe = tiny.preset(
        folder.parent / "model", {"cross_validated_below": 0}, epochs=1, precision="fp32"
    )
    run = folder / "run"
    run.mkdir(parents=True)
    order = run / "test.json"
    looking.write(order, found, rows=rows["test"])
    job = tiny.order(folder, data, recipe).model_copy(
        update={"folder": str(run), "test": str(order), "test_rows": found.test.rows}
    )
    mapped = {split: str(path) for split, path in rows.items() if split != "test"}
    job = TrainJob.model_validate(job.model_dump() | {"rows": mapped})
    if before:
        rows["test"].unlink()
        (data / "test.csv").unlink()
    if before == "another file":
        (data / "test.csv").write_text("text,label\nw1 w2,a\n")
    _work(
        job,
        EventLog(run / "events.jsonl", started_monotonic_s=0, writes=True),
        tiny.Stop(run, None),
    )  # type: ignore[arg-type]
    return run


@pytest.mark.parametrize(
    ("before", "error"), [("gone", FileMissing), ("another file", DataChanged)]
)
def test_without_its_test_rows_all_is_trained_and_chosen_the_same(before, error, tmp_path):
    tiny.model_folder(tmp_path / "model")
    for n in (1, 2):
        (tmp_path / f"d{n}").mkdir()
        tiny.csv_file(tmp_path / f"d{n}" / "train.csv", {"a": 60, "b": 60})
        tiny.csv_file(tmp_path / f"d{n}" / "test.csv", {"a": 20, "b": 20}, seed=5)
    cache = RowCache.of(tmp_path / "cache")
    whole = worked(tmp_path / "1", tmp_path / "d1", cache)
    assert (whole / "predictions.csv").is_file()
    with pytest.raises(error):
        worked(tmp_path / "2", tmp_path / "d2", cache, before)
    blind = tmp_path / "2" / "run"
    for name in ("delivery.json", "trace.jsonl"):
        assert (blind / name).read_bytes() == (whole / name).read_bytes()
    ours, theirs = (
        logits.read(run / "predictions" / "validation.safetensors") for run in (blind, whole)
    )
    assert np.array_equal(ours.delivered, theirs.delivered) and len(ours.rows)
