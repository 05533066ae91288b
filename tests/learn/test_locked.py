"""Who trains, tunes or chooses and asks for test rows is found; a kill counts no look twice."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.train
torch = pytest.importorskip("torch")

from agnews_cli.core.run.dataset import Dataset  # noqa: E402
from agnews_cli.core.run.evaluation import Evaluation  # noqa: E402
from agnews_cli.core.run.job import TrainJob  # noqa: E402
from agnews_cli.errors import TestRowsLocked  # noqa: E402
from agnews_cli.learn import predictor  # noqa: E402
from agnews_cli.learn.door import test_lock as door  # noqa: E402
from agnews_cli.learn.door.events import EventLog  # noqa: E402
from agnews_cli.learn.loop import train as loop  # noqa: E402
from agnews_cli.learn.stages import combine, tuning  # noqa: E402
from agnews_cli.learn.worker import _work  # noqa: E402
from agnews_cli.store.data import datasets  # noqa: E402
from agnews_cli.store.run import test_lock  # noqa: E402
from tests import looking  # noqa: E402
from tests.learn import tiny  # noqa: E402


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    tiny.csv_file(folder / "train.csv", {"a": 60, "b": 60})
    tiny.csv_file(folder / "test.csv", {"a": 20, "b": 20}, seed=5)
    tiny.model_folder(folder / "model")
    return folder


@pytest.fixture(autouse=True)
def unlocked(data: Path) -> Iterator[None]:
    """An audit hook stays: nothing may be locked to the tests that follow."""
    yield
    door.lock(TrainJob.model_construct(locked=()))


def job(run: Path, found: Dataset, data: Path) -> TrainJob:
    recipe = tiny.preset(
        data / "model", {"cross_validated_below": 0}, epochs=1, precision="fp32", yardstick=False
    )
    run.mkdir(exist_ok=True)
    order = looking.write(run / "test.json", found)
    changes = {
        "folder": str(run), "test": str(order), "test_rows": 40, "candidates": ("finetune",),
        "locked": (test_lock.digest(str(data / "test.csv")),),
    }  # fmt: skip
    return tiny.order(run, data, recipe).model_copy(update=changes)


def work(run: Path, found: Dataset, data: Path) -> None:
    order = job(run, found, data)
    log = EventLog(run / "events.jsonl", started_monotonic_s=0, writes=True)
    _work(order, log, tiny.Stop(run, None))  # type: ignore[arg-type]


def looks(run: Path) -> list[str]:
    return sorted(path.name for path in (run / "store" / "test-lock").glob("*/tiny-*"))


STAGES = {
    "training": (loop.FineTuning, "_ordered"),
    "validation": (loop.FineTuning, "_validate"),
    "tuning": (tuning.Tunings, "load"),
    "choice": (combine, "choose"),
}


@pytest.mark.parametrize("is_caught", [False, True])
@pytest.mark.parametrize("stage", STAGES)
def test_an_attempt_to_read_test_rows_before_all_is_chosen_is_found(
    stage, is_caught, data, tmp_path, monkeypatch
):
    place, name = STAGES[stage]
    before = getattr(place, name)

    def peeps(*args, **kwargs):
        try:
            (data / "test.csv").read_text()
        except TestRowsLocked:
            if not is_caught:
                raise
        return before(*args, **kwargs)

    monkeypatch.setattr(place, name, peeps)
    with pytest.raises(TestRowsLocked, match=r"test\.csv"):
        work(tmp_path / "run", datasets.find(str(data)), data)
    assert not looks(tmp_path / "run") and not (tmp_path / "run" / "evaluation.json").exists()


def test_a_link_to_the_test_rows_is_locked_too_and_training_rows_are_not(data, tmp_path):
    (tmp_path / "other.csv").symlink_to(data / "test.csv")
    door.lock(TrainJob.model_construct(locked=(test_lock.digest(str(data / "test.csv")),)))
    assert (data / "train.csv").read_text()
    with pytest.raises(TestRowsLocked):
        (tmp_path / "other.csv").read_text()
    with pytest.raises(TestRowsLocked):
        door.require_untouched()


def test_a_run_that_was_killed_between_its_look_and_its_figures_looked_once(
    data, tmp_path, monkeypatch
):
    run, found = tmp_path / "run", datasets.find(str(data))

    def dies(*_):
        raise MemoryError

    with monkeypatch.context() as patched:
        patched.setattr(predictor, "open_delivery", dies)
        with pytest.raises(MemoryError):
            work(run, found, data)
    assert looks(run) == ["tiny-0123456789.test.1.json"]
    assert not (run / "evaluation.json").exists()
    work(run, found, data)
    assert looks(run) == ["tiny-0123456789.test.1.json"]
    evaluation = Evaluation.model_validate_json((run / "evaluation.json").read_text())
    assert evaluation.look is not None and (evaluation.look.number, evaluation.look.looks) == (1, 1)
    assert "the 1st look at them" in (run / "README.md").read_text()


def test_a_second_look_says_so_in_the_figures_and_on_the_card(data, tmp_path):
    run, found = tmp_path / "run", datasets.find(str(data))
    run.mkdir()
    from datetime import UTC, datetime

    other = looking.look(found, "other-0123456789")
    test_lock.take(run / "store", other, datetime(2026, 1, 1, tzinfo=UTC))
    work(run, found, data)
    facts = json.loads((run / "evaluation.json").read_text())
    assert (facts["look"]["number"], facts["look"]["looks"]) == (2, 2)
    card = (run / "README.md").read_text()
    assert "the 2nd look at them; as the best of 2 its accuracy has the 95% interval" in card
