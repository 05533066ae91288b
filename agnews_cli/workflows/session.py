"""One session of a run: ledger row first, worker launched and watched, row closed whatever comes.

What is saved goes to further stores meanwhile (`couriers`); the worker ends early enough for the
last upload.
"""

from __future__ import annotations

import math
import shutil
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from agnews_cli.core import lifetime
from agnews_cli.core.job import Job, Outcome, ReaderLeft
from agnews_cli.core.platform import Platform
from agnews_cli.core.session import RESOURCES, RunState, SessionEnd
from agnews_cli.errors import (
    CannotRead,
    CannotWrite,
    CheckpointDamaged,
    Interrupted,
    NoDiskSpace,
    ReportedError,
    SessionOver,
    WorkerDied,
)
from agnews_cli.host import launch
from agnews_cli.host.session_age import session_age
from agnews_cli.store import leases
from agnews_cli.store.remotes.remote import Remote
from agnews_cli.store.runs import SAVE_NOW, RunFolder, write_text_atomically
from agnews_cli.workflows.couriers import Fleet, Note, fencing_floor
from agnews_cli.workflows.watch import (
    MOST_RESERVED,
    Show,
    interrupted,
    resume_command,
    signals,
    watch,
)

if TYPE_CHECKING:
    from agnews_cli.store.ledger import Ledger

_BEAT_S = 15.0
_LAST_WORKER_S = 120.0  # one whose command was killed: a step, and a save
_LAST_PUSH_S = 60.0  # after an interrupt: platforms that end a session do not wait long

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
        with suppress(ReaderLeft):  # the watch will hear of it
            show(note.event(job.started_monotonic_s))

    if not leases.is_held(folder.path, _now()) and (alive := launch.left_behind(folder.job)):
        tell(Note("the worker of the last session saves and ends; waiting for it"))
        try:
            launch.await_end(alive, _LAST_WORKER_S)
        except KeyboardInterrupt:
            raise interrupted(folder) from None
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
        age = session_age()
        lives = lifetime.lives(ledger.sessions(), platform.name, _now())
        job = job.model_copy(
            update={
                "token": lease.token,
                "writer": lease.writer,
                "session_end_monotonic_s": _worker_end_s(end_s, fleet),
                "lifetime_s": lifetime.mean_s(lives, age_s=age.seconds if age else None),
            }
        )
        write_text_atomically(folder.job, job.model_dump_json(indent=2))
        opened_s = time.monotonic()
        session = ledger.open_session(
            job.run,
            platform=platform.name,
            accelerator=device.name,
            resource=RESOURCES[device.kind],
            entered_s=age.seconds if age else 0.0,
            now=_now(),
        )
        _agree(ledger, folder)
        how: SessionEnd = "error"
        state: RunState = "failed"
        finish_s: float | None = 0.0  # send nothing more
        fleet.start()
        try:
            beat = _beater(ledger, session, lease)
            outcome = watch(
                job, folder, platform, processes, show=show, beat=beat, fleet=fleet, end_s=end_s
            )
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
            _agree(ledger, folder)  # the hours so far go with the last upload
            with signals() as received:
                for note in fleet.finish(finish_s, is_stopped=lambda: signal.SIGINT in received):
                    tell(note)
            ledger.close_session(session, how, _now(), time.monotonic() - opened_s)
            ledger.set_state(job.run, state, _now())
            lease.release(_now())
            _agree(ledger, folder)
    if fleet.fenced is not None:
        raise fleet.fenced
    if outcome.state == "interrupted":
        raise interrupted(folder)
    if outcome.state == "paused":
        at = f"at step {outcome.step} of {outcome.total_steps}"
        where = at if outcome.total_steps else "before the end of a step"
        raise SessionOver(where=where, next=resume_command(folder, remotes))
    if outcome.failure is not None:
        failure = outcome.failure
        raise ReportedError(failure.message, failure.hint, failure.exit_code, failure.kind)
    return outcome


def _agree(ledger: Ledger, folder: RunFolder) -> None:
    """The ledger travels with the store, so that every machine that uses it counts all hours."""
    from agnews_cli.store import copies

    # A copy that was not made is made next time; no reason to stop.
    with suppress(CannotRead, CannotWrite, NoDiskSpace, CheckpointDamaged):
        copies.ship(ledger, folder.path.parent / copies.FOLDER)


def _worker_end_s(end_s: float | None, fleet: Fleet) -> float | None:
    """When the worker must have saved, so that the last upload is done by `end_s`."""
    if end_s is None:
        return None
    left_s = max(0.0, end_s - time.monotonic())
    return end_s - min(fleet.reserve_s, MOST_RESERVED * left_s)


def _push_until_s(outcome: Outcome, end_s: float | None) -> float | None:
    """How long the last upload may take: the session, and not long after an interrupt."""
    if outcome.state == "interrupted":
        return min(end_s or math.inf, time.monotonic() + _LAST_PUSH_S)
    return end_s


def _beater(ledger: Ledger, session: str, lease: leases.Lease) -> Callable[[], None]:
    opened_s = last_s = time.monotonic()

    def beat() -> None:
        nonlocal last_s
        if time.monotonic() - last_s >= _BEAT_S:
            last_s = time.monotonic()
            held_s = last_s - opened_s
            for owner_beats in (partial(ledger.beat, session, held_s=held_s), lease.beat):
                with suppress(CannotWrite, NoDiskSpace):  # a missed beat is no reason to stop
                    owner_beats(now=_now())

    return beat


def _now() -> datetime:
    return datetime.now(UTC)
