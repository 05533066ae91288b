"""One session of a run: ledger row first, worker launched, events shown, row closed whatever comes.

SIGINT, SIGTERM and SIGHUP ask the worker to stop in good order; a second one ends it at once.
What is saved goes to further stores meanwhile (`couriers`); the worker ends early enough for the
last upload.
"""

from __future__ import annotations

import math
import shlex
import shutil
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from agnews_cli.core.interval import mean_lifetime
from agnews_cli.core.job import Event, Job, Outcome
from agnews_cli.core.platform import Platform
from agnews_cli.errors import (
    CannotWrite,
    Interrupted,
    NoDiskSpace,
    ReportedError,
    SessionOver,
    WorkerDied,
)
from agnews_cli.host import launch
from agnews_cli.store import leases
from agnews_cli.store.remotes.remote import Remote
from agnews_cli.store.runs import SAVE_NOW, RunFolder, write_text_atomically
from agnews_cli.workflows.couriers import Fleet, Note, fencing_floor

if TYPE_CHECKING:
    from agnews_cli.store.ledger import RunState, SessionEnd

_POLL_S = 0.1
_BEAT_S = 15.0
_LATE_S = 20.0  # past its deadline by so much, the worker is ended
_CLOSING_S = 1.0  # past its session's end by so much, the worker is ended: the platform would
_GRACE_S = 60.0  # to save what there is after a stop was asked for
_MOST_RESERVED = 0.25  # of a session, for its last upload
_LAST_PUSH_S = 60.0  # after an interrupt: platforms that end a session do not wait long

Show = Callable[[Event], None]
_ENDS: Mapping[str, tuple[SessionEnd, RunState]] = {
    "completed": ("finished", "completed"),
    "interrupted": ("interrupted", "interrupted"),
    "paused": ("deadline", "paused"),
}


def train(
    job: Job,
    folder: RunFolder,
    platform: Platform,
    *,
    processes: int,
    show: Show,
    takeover: bool = False,
    is_fresh: bool = False,
    remotes: Sequence[Remote] = (),
) -> Outcome:
    """Run the worker on `job` to its outcome, or to a pause; only one session does so at a time.

    `is_fresh`: from the beginning, whatever is saved; `takeover`: from a session that seems alive.
    What is saved is sent to `remotes` too; one that fails is warned of.

    Raises RunBusy, Interrupted, SessionOver, WorkerDied, Fenced, and what the worker itself put
    into words.
    """
    from agnews_cli.store.ledger import Ledger

    def tell(note: Note) -> None:
        elapsed_s = time.monotonic() - job.started_monotonic_s
        kind: Literal["warning", "note"] = "warning" if note.is_warning else "note"
        at = _now().isoformat()
        show(Event(kind=kind, at=at, elapsed_s=elapsed_s, data={"text": note.text}))

    floor, notes = fencing_floor(remotes, folder, _now(), takeover=takeover)
    for note in notes:
        tell(note)
    lease = leases.claim(folder.path, _now(), takeover=takeover, above=floor)
    if lease.note:
        tell(Note(f"this run is {lease.note}"))
    fleet = Fleet(remotes, folder, token=lease.token, writer=lease.writer)
    end_s = job.session_end_monotonic_s
    if is_fresh:
        shutil.rmtree(folder.checkpoints, ignore_errors=True)
        for old in (folder.events, folder.path / "trace.jsonl"):
            old.unlink(missing_ok=True)
    asked = folder.path / SAVE_NOW
    for stale in (folder.outcome, folder.evaluation, folder.predictions, asked):
        stale.unlink(missing_ok=True)
    with Ledger() as ledger:
        ledger.record_run(
            job.run,
            preset=job.preset.name,
            dataset=job.dataset.name,
            seed=job.seed,
            folder=str(folder.path),
            now=_now(),
            state="running",
        )
        device = platform.accelerator
        ended = [s for s in ledger.sessions() if s.platform == platform.name]
        job = job.model_copy(
            update={
                "token": lease.token,
                "writer": lease.writer,
                "session_end_monotonic_s": _worker_end_s(end_s, fleet),
                "lifetime_s": mean_lifetime(
                    sum(s.seconds for s in ended), sum(s.state == "died" for s in ended)
                ),
            }
        )
        write_text_atomically(folder.job, job.model_dump_json(indent=2))
        session = ledger.open_session(
            job.run, platform=platform.name, accelerator=device.name, now=_now()
        )
        how: SessionEnd = "error"
        state: RunState = "failed"
        finish_s: float | None = 0.0  # send nothing more
        fleet.start()
        try:
            beat = _beater(ledger, session, lease)
            outcome = _watch(job, folder, platform, processes, show, beat, fleet, end_s, tell)
            how, state = _ENDS.get(outcome.state, (how, state))
            finish_s = _push_until_s(outcome, end_s)
            if outcome.state == "completed":  # the delivered model is the result
                shutil.rmtree(folder.checkpoints, ignore_errors=True)
        except Interrupted:
            how, state = "interrupted", "interrupted"
            if fleet.fenced is not None:  # before the worker could say a word
                raise fleet.fenced from None
            raise
        except WorkerDied:
            state = "interrupted"  # it can go on
            finish_s = time.monotonic() + _LAST_PUSH_S
            raise
        finally:
            with _signals() as received:
                for note in fleet.finish(finish_s, is_stopped=lambda: bool(received)):
                    tell(note)
            ledger.close_session(session, how, _now())
            ledger.set_state(job.run, state, _now())
            lease.release(_now())
    if fleet.fenced is not None:
        raise fleet.fenced
    if outcome.state == "interrupted":
        raise _interrupted(folder)
    if outcome.state == "paused":
        at = f"at step {outcome.step} of {outcome.total_steps}"
        where = at if outcome.total_steps else "before the end of a step"
        raise SessionOver(where=where, next=resume_command(folder, remotes))
    if outcome.failure is not None:
        failure = outcome.failure
        raise ReportedError(failure.message, failure.hint, failure.exit_code, failure.kind)
    return outcome


def resume_command(folder: RunFolder, remotes: Sequence[Remote] = ()) -> str:
    """What to type to go on, from anywhere on this machine; with a further store, on any."""
    further = [remote.address for remote in remotes if not remote.promises.is_read_only]
    stores = [str(folder.path.parent), *further]
    return f"agnews resume {folder.id} " + " ".join(f"--store {shlex.quote(s)}" for s in stores)


def _worker_end_s(end_s: float | None, fleet: Fleet) -> float | None:
    """When the worker must have saved, so that the last upload is done by `end_s`."""
    if end_s is None:
        return None
    left_s = max(0.0, end_s - time.monotonic())
    return end_s - min(fleet.reserve_s, _MOST_RESERVED * left_s)


def _push_until_s(outcome: Outcome, end_s: float | None) -> float | None:
    """How long the last upload may take: the session, and not long after an interrupt."""
    if outcome.state == "interrupted":
        return min(end_s or math.inf, time.monotonic() + _LAST_PUSH_S)
    return end_s


def _watch(
    job: Job,
    folder: RunFolder,
    platform: Platform,
    processes: int,
    show: Show,
    beat: Callable[[], None],
    fleet: Fleet,
    end_s: float | None,
    tell: Callable[[Note], None],
) -> Outcome:
    written = folder.events.stat().st_size if folder.events.exists() else 0
    worker = launch.start(
        folder.job,
        folder.log,
        platform.accelerator,
        processes=processes,
        cpu_count=platform.cpu_count,
    )
    tail = Tail(folder.events, at=written)
    pid: int | None = None
    asked_s: float | None = None
    is_time_up, save_s = False, 0.0
    began_s = time.monotonic()
    with _signals() as received:
        answered = 0
        try:
            while True:
                code = worker.poll()
                for event in tail.read():
                    if event.kind == "started":
                        pid = int(event.data["pid"])
                    if event.kind == "saved":
                        save_s = float(event.data.get("seconds", 0.0))
                        fleet.wake()
                    show(event)
                for note in fleet.notes():
                    tell(note)
                if folder.outcome.exists():
                    return _ended(folder, is_time_up)
                if code is not None:
                    if is_time_up:
                        return Outcome(state="paused")
                    if asked_s is not None:
                        raise _interrupted(folder)
                    raise WorkerDied(how=_how(code), log=folder.log, next=resume_command(folder))
                now_s = time.monotonic()
                if len(received) > answered:
                    answered = len(received)
                    if asked_s is not None:
                        raise _interrupted(folder)
                    asked_s = now_s
                    worker.ask_to_stop(pid)
                if fleet.fenced is not None and asked_s is None:
                    asked_s = now_s
                    worker.ask_to_stop(pid)
                if end_s is not None and asked_s is None:
                    # Uploads that take longer than was known at the start end training earlier.
                    left_s = min(fleet.reserve_s, _MOST_RESERVED * (end_s - began_s))
                    if left_s and now_s > end_s - left_s - 2.0 * save_s - 1.0:
                        is_time_up, asked_s = True, now_s
                        worker.ask_to_stop(pid)
                if end_s is not None and now_s > end_s + _CLOSING_S:
                    return Outcome(state="paused")  # what is committed is safe; the rest is late
                late_s = job.deadline_monotonic_s and now_s - job.deadline_monotonic_s
                if late_s is not None and late_s > _LATE_S and asked_s is None:
                    asked_s = now_s
                    worker.ask_to_stop(pid)
                if asked_s is not None and now_s - asked_s > _GRACE_S:
                    raise _interrupted(folder)
                beat()
                time.sleep(_POLL_S)
        finally:
            worker.close()


def _ended(folder: RunFolder, is_time_up: bool) -> Outcome:
    outcome = Outcome.model_validate_json(folder.outcome.read_text("utf-8"))
    if is_time_up and outcome.state == "interrupted":  # not by the user: by the last upload's time
        outcome = outcome.model_copy(update={"state": "paused"})
        write_text_atomically(folder.outcome, outcome.model_dump_json(indent=2))
    return outcome


def _interrupted(folder: RunFolder) -> Interrupted:
    if any(folder.checkpoints.glob("*/m-*.json")):
        has_model = any((folder.model / f"{n}config.json").exists() for n in ("", "adapter_"))
        so_far = f", and the model so far is in {folder.model}" if has_model else ""
        return Interrupted(
            kept=f"everything up to now is saved{so_far}",
            next=f"Go on with: {resume_command(folder)}",
        )
    return Interrupted(
        kept="no model was trained yet", next="The same command trains this run again."
    )


def _how(code: int) -> str:
    if code < 0 or code > 128:
        number = -code if code < 0 else code - 128
        with suppress(ValueError):
            name = signal.Signals(number).name
            more = ", often the system ending a process that used too much memory"
            return f"{name}{more if name == 'SIGKILL' else ''}"
    return f"exit code {code}"


@contextmanager
def _signals() -> Iterator[list[int]]:
    """Collects stop signals instead of dying from them; handlers are put back after."""
    received: list[int] = []
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    try:
        before = {n: signal.signal(n, lambda number, _: received.append(number)) for n in numbers}
    except ValueError:  # not the main thread: somebody else owns the signals
        yield received
        return
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _beater(ledger: object, session: int, lease: leases.Lease) -> Callable[[], None]:
    from agnews_cli.store.ledger import Ledger

    assert isinstance(ledger, Ledger)
    last_s = time.monotonic()

    def beat() -> None:
        nonlocal last_s
        if time.monotonic() - last_s >= _BEAT_S:
            last_s = time.monotonic()
            ledger.beat(session, _now())
            with suppress(CannotWrite, NoDiskSpace):  # a missed beat is no reason to stop
                lease.beat(_now())

    return beat


class Tail:
    """Whole lines appended to a file since the last `read`."""

    def __init__(self, path: Path, at: int = 0) -> None:
        self._path, self._at = path, at

    def read(self) -> Iterator[Event]:
        """New events; a line still being written waits for the next call."""
        if not self._path.exists():
            return
        with self._path.open("rb") as file:
            file.seek(self._at)
            data = file.read()
        whole = data[: data.rfind(b"\n") + 1]
        self._at += len(whole)
        for line in whole.splitlines():
            yield Event.model_validate_json(line)


def _now() -> datetime:
    return datetime.now(UTC)
