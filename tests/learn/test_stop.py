"""Why a worker stops: somebody asked, or the session's end is near; and who says how it ended."""

import json
import signal
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from agnews_cli.core.run.deadline import Deadline
from agnews_cli.core.run.job import Outcome, TrainJob
from agnews_cli.learn import worker
from agnews_cli.learn.door.events import StopFlag, StopRequested
from agnews_cli.store.data import datasets
from agnews_cli.store.run import leases
from agnews_cli.store.settings import presets

SAMPLE = Path(presets.__file__).parents[2] / "sample"


@pytest.fixture(autouse=True)
def own_signals():
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.getsignal(number) for number in numbers]
    yield
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


def test_what_would_not_fit_is_given_up_for_the_end_and_not_for_a_user():
    """Seen: 95 s of session, a validation that did not fit, a quick last save: exit 130, not 75."""
    stop = StopFlag(Deadline("session", time.monotonic() + 60))
    assert not stop.is_set
    assert stop.is_deadline


def test_a_signal_is_a_users_wish_even_at_the_end():
    stop = StopFlag(Deadline("session", time.monotonic() - 1))
    assert stop.is_deadline
    signal.raise_signal(signal.SIGTERM)
    assert not stop.is_deadline
    with pytest.raises(StopRequested):
        stop.check()


def test_without_an_end_only_somebody_can_have_asked():
    stop = StopFlag()
    assert not stop.is_deadline
    assert stop.left_s == float("inf")


def order(folder: Path, lease: leases.Lease) -> str:
    """The file of a job that `lease` owns."""
    job = TrainJob(
        run="r-1", folder=str(folder), cache="", preset=presets.load("minilm"), model_path="",
        dataset=datasets.find(str(SAMPLE)), seed=0,
        started_monotonic_s=0, token=lease.token, writer=lease.writer,
    )  # fmt: skip
    (folder / "job.json").write_text(job.model_dump_json())
    return str(folder / "job.json")


@pytest.fixture
def second(monkeypatch):
    """This process is the second of two."""
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    for name in ("stdout", "stderr"):  # `main` puts its own in their place
        monkeypatch.setattr(sys, name, getattr(sys, name))


def test_what_the_second_process_alone_failed_of_is_said(tmp_path, monkeypatch, second):
    """Else the first one waits for it, and says nothing for as long."""

    def fails(*_: object) -> Outcome:
        raise RuntimeError("CUDA out of memory. Tried to allocate 2 GiB")

    monkeypatch.setattr(worker, "_work", fails)
    worker.main(["worker", order(tmp_path, leases.claim(tmp_path, datetime.now(UTC)))])
    found = Outcome.model_validate_json((tmp_path / "outcome.json").read_text())
    assert found.failure is not None and found.failure.kind == "OutOfMemory"
    assert not (tmp_path / "events.jsonl").exists()


@pytest.mark.parametrize("state", ["completed", "interrupted"])
def test_the_second_process_says_nothing_else(tmp_path, monkeypatch, second, state):
    monkeypatch.setattr(worker, "_work", lambda *_: Outcome(state=state))
    worker.main(["worker", order(tmp_path, leases.claim(tmp_path, datetime.now(UTC)))])
    assert not (tmp_path / "outcome.json").exists()


@pytest.mark.parametrize("rank", ["0", "1"])
def test_the_death_of_another_process_is_not_told_as_a_fault_of_ours(
    tmp_path, monkeypatch, second, rank
):
    def fails(*_: object) -> Outcome:
        raise RuntimeError("[/pytorch/third_party/gloo/tcp/pair.cc:538] Connection closed by peer")

    monkeypatch.setenv("RANK", rank)
    monkeypatch.setattr(worker, "_work", fails)
    with pytest.raises(RuntimeError, match="closed by peer"):
        worker.main(["worker", order(tmp_path, leases.claim(tmp_path, datetime.now(UTC)))])
    assert not (tmp_path / "outcome.json").exists()


@pytest.mark.parametrize("is_taken_over", [True, False])
def test_a_worker_whose_run_was_taken_over_does_not_overwrite_how_it_ended(
    is_taken_over, tmp_path, monkeypatch
):
    mine = leases.claim(tmp_path, datetime.now(UTC))
    if is_taken_over:
        leases.claim(tmp_path, datetime.now(UTC), takeover=True)
    path = order(tmp_path, mine)
    there = Outcome(state="completed", writer="another").model_dump_json()
    (tmp_path / "outcome.json").write_text(there)
    for name in ("stdout", "stderr"):  # `main` puts its own in their place
        monkeypatch.setattr(sys, name, getattr(sys, name))
    monkeypatch.setattr(worker, "_work", lambda *_: Outcome(state="interrupted"))
    worker.main(["worker", path])
    found = json.loads((tmp_path / "outcome.json").read_text())
    assert found["writer"] == ("another" if is_taken_over else mine.writer)
    assert found["state"] == ("completed" if is_taken_over else "interrupted")
