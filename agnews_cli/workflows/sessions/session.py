"""One session of a run: ledger row first, worker launched and watched, row closed whatever comes.

What is saved goes to further stores meanwhile (`couriers`); the worker ends early enough for the
last upload.
"""

from __future__ import annotations

import math
import shlex
import shutil
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from agnews_cli.core.hours import lifetime
from agnews_cli.core.hours.resource import RESOURCES
from agnews_cli.core.hours.session import SessionEnd
from agnews_cli.core.machine.platform import Platform
from agnews_cli.core.run.deadline import Deadline
from agnews_cli.core.run.job import (
    Event,
    Failure,
    Job,
    Outcome,
    ReaderLeft,
    TestOrder,
    TrainJob,
)
from agnews_cli.core.run.request import Tracker
from agnews_cli.core.run.state import RunState
from agnews_cli.errors import (
    AgnewsError,
    CannotRead,
    CannotWrite,
    CheckpointDamaged,
    Fenced,
    Interrupted,
    NoDiskSpace,
    ReportedError,
    RunBusy,
    SessionOver,
    StoreTrouble,
    TakenOver,
    WorkerDied,
)
from agnews_cli.host import launch
from agnews_cli.host.session_age import session_age
from agnews_cli.store.disk import files
from agnews_cli.store.disk.files import write_text_atomically
from agnews_cli.store.remotes.remote import Remote
from agnews_cli.store.run import leases
from agnews_cli.store.run.leases import Lease
from agnews_cli.store.run.runs import SAVE_NOW, RunFolder
from agnews_cli.workflows.runs import stores
from agnews_cli.workflows.runs.history import word_for
from agnews_cli.workflows.sessions import locking
from agnews_cli.workflows.sessions.couriers import Fleet, Note, fencing_floor
from agnews_cli.workflows.sessions.heart import Heart
from agnews_cli.workflows.sessions.kept import kept
from agnews_cli.workflows.sessions.lasting import lasting
from agnews_cli.workflows.sessions.tracking import Tracking
from agnews_cli.workflows.sessions.watch import (
    MOST_RESERVED,
    Show,
    go_on,
    said,
    signals,
    stopped,
    watch,
)

if TYPE_CHECKING:
    from agnews_cli.store.hours.ledger import Ledger

_LAST_WORKER_S = 120.0  # one whose command was killed: a step, and a save
_LEDGER_S = 1.0  # how long another process may hold it where a session's end waits
_MOST_RETURNS = 2  # of stores that were silent
_LAST_PUSH_S = 60.0  # after an interrupt: platforms that end a session do not wait long

_ENDS: Mapping[RunState, SessionEnd] = {
    RunState.COMPLETED: "finished",
    RunState.INTERRUPTED: "interrupted",
    RunState.PAUSED: "deadline",
    RunState.FAILED: "error",
}


@dataclass(frozen=True, slots=True)
class Lane:
    """One of several sessions that are at work on a machine at once, each on a share of it."""

    received: list[int]
    """Stop signals, which are every lane's: whoever began the lanes collects them."""
    card: int | None = None
    """Its GPU; None on a CPU."""


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
    test: TestOrder | None = None,
    lane: Lane | None = None,
    track: Tracker = "none",
) -> Outcome:
    """Run the worker on `job` to its outcome, or to a pause; only one session does so at a time.

    `lane`: where it is one of several on this machine.

    `test`: what it evaluates when everything is chosen; nothing else tells it of test rows.
    `track`: what a training is told to besides.
    `is_fresh`: from the beginning, whatever is saved; `takeover`: from a session that seems alive.
    What is saved is sent to `remotes` too; one that fails is warned of. One that was silent when
    the run began, and turns out to have more of it, is gone on from.

    Raises RunBusy, LinkInRun, Interrupted, SessionOver, WorkerDied, TakenOver, and what the worker
    itself put into words.
    """

    def tell(note: Note) -> None:
        with suppress(ReaderLeft):  # the watch will hear of it
            show(note.event(job.started_monotonic_s))

    folder.require_plain()
    session = _Session(job, folder, platform, processes, show, tell, remotes, test, lane, track)
    try:
        return session.to_the_end(takeover=takeover, is_fresh=is_fresh)
    except AgnewsError as error:
        stays = lasting(platform, folder.path.parent, remotes)
        if "saved" in error.facts and stays is not None and stays.is_lost:
            error.advice = f"{error.advice}\nBut {stays.text}."
        raise


@dataclass(slots=True)
class _Session:
    """What stays the same when a run begins again within one command."""

    job: Job
    folder: RunFolder
    platform: Platform
    processes: int
    show: Show
    tell: Callable[[Note], None]
    remotes: Sequence[Remote]
    test: TestOrder | None
    lane: Lane | None = None
    track: Tracker = "none"
    received: list[int] = field(default_factory=list)
    """Stop signals."""

    def to_the_end(self, *, takeover: bool, is_fresh: bool) -> Outcome:
        """How the run was completed. Raises what `train` does."""
        outcome = self.once(takeover=takeover, is_fresh=is_fresh)
        for _ in range(_MOST_RETURNS):
            if outcome is None:
                outcome = _brought(self.job, self.remotes, self.folder, self.tell) or self.once()
        if outcome is None:
            store = ", ".join(remote.address for remote in self.remotes)
            reason = "its numbers keep growing"
            raise StoreTrouble(store=store, action="be followed", reason=reason)
        with signals():  # one press may be several: none cuts the last words short
            error = self.words_of(outcome)
        if error is not None:
            raise error
        return outcome

    def once(self, *, takeover: bool = False, is_fresh: bool = False) -> Outcome | None:
        """One worker, watched; None where a store that was silent shows more of this run."""
        floor, silent = self._look_around(takeover=takeover)
        lease = leases.claim(self.folder.path, _now(), takeover=takeover, above=floor)
        if lease.note:
            self.tell(Note(f"this run is {lease.note}"))
        if lease.warning:
            self.tell(Note(f"{self.folder.path}: {lease.warning}", True))
        ended = self.folder.ended()
        if not is_fresh and _is_done(ended, self.job):  # by another session, a moment ago
            with suppress(CannotWrite, NoDiskSpace):
                lease.release(_now())
            return ended
        fleet = Fleet(self.remotes, self.folder, token=lease.token, writer=lease.writer)
        try:
            with signals() if self.lane is None else nullcontext(self.lane.received) as stops:
                self.received = stops
                outcome = self._trained(lease, fleet, is_fresh=is_fresh)
        finally:
            with suppress(CannotWrite, NoDiskSpace):  # then it is over when this process is
                lease.release(_now())
        if fleet.fenced is None:
            return outcome
        if outcome is not None and outcome.state == RunState.COMPLETED:
            text = f"{fleet.fenced_by} has another session of this run, and not this model"
            there = shlex.quote(fleet.fenced_by)
            push = f"agnews checkpoints push {word_for(self.folder)} --store {there}"
            self.tell(Note(f"{text}: {push} sends it", True))
            return outcome
        self._require_silence(fleet.fenced, fleet.fenced_by)
        if fleet.fenced_by not in silent:
            raise self._taken_over(fleet.fenced, "A session that no longer lives")
        if self.received:
            raise stopped(self.folder, self.received, outcome=outcome, remotes=self.remotes)
        self.tell(Note(f"{fleet.fenced_by} answers again, and has a session of this run"))
        return None

    def words_of(self, outcome: Outcome) -> AgnewsError | None:
        """What to say of an outcome; None where the run is completed."""
        folder = self.folder
        if outcome.state == RunState.INTERRUPTED:
            return stopped(folder, self.received, outcome=outcome, remotes=self.remotes)
        if outcome.state == RunState.PAUSED:
            found = kept(folder, outcome)
            next_ = go_on(folder, found, self.remotes)
            return said(SessionOver(kept=found.sentence, next=next_), found)
        return None if outcome.failure is None else _in_words(outcome.failure, folder)

    def _look_around(self, *, takeover: bool) -> tuple[int, frozenset[str]]:
        """(the highest fencing number of any store, the stores that do not answer)."""
        run, now = self.folder, _now()
        try:
            alive = () if leases.is_held(run.path, now) else launch.left_behind(run.job)
            if alive:
                self.tell(Note("the worker of the last session saves and ends; waiting for it"))
                launch.await_end(alive, _LAST_WORKER_S)
            floor, silent = fencing_floor(self.remotes, run, now, takeover=takeover)
        except KeyboardInterrupt:
            raise stopped(run, [signal.SIGINT], remotes=self.remotes) from None
        for problem in silent.values():
            self.tell(Note(f"{problem}; training goes on, it is tried again", True))
        if silent and not any(run.checkpoints.glob("*/m-*.json")):
            names = " and ".join(silent)
            text = (
                f"nobody knows whether {names} has a part of this run: training begins at step 0, "
                "and goes on from that part when the store answers"
            )
            self.tell(Note(text, True))
        return floor, frozenset(silent)

    def _require_silence(self, fenced: Fenced, store: str) -> None:
        """Raises TakenOver where a session lives elsewhere, as the store shows that fenced us."""
        asked = [remote for remote in self.remotes if remote.address == store]
        try:
            fencing_floor(asked, self.folder, _now(), takeover=False)
        except RunBusy as busy:
            who = f"The session on {busy.facts['where']},"
            raise self._taken_over(fenced, who) from None

    def _taken_over(self, fenced: Fenced, who: str) -> TakenOver:
        found = kept(self.folder)
        facts = {"newest": fenced.facts["newest"], "token": fenced.facts["token"]}
        return said(
            TakenOver(who=who, run=word_for(self.folder), kept=f"here, {found.sentence}", **facts),
            found,
        )

    def _trained(self, lease: Lease, fleet: Fleet, *, is_fresh: bool) -> Outcome | None:
        """The worker's outcome, its hours in the ledger; None where a store stopped it."""
        from agnews_cli.store.hours.ledger import Ledger

        folder = self.folder
        was_looked_at = is_fresh and folder.evaluated() is not None
        if is_fresh:
            shutil.rmtree(folder.checkpoints, ignore_errors=True)
            for old in (folder.events, folder.path / "trace.jsonl"):
                old.unlink(missing_ok=True)
        asked = folder.path / SAVE_NOW
        # What was delivered before is not this training's: `predict` must not take it for that.
        delivery = folder.path / "delivery.json"
        shutil.rmtree(folder.path / "predictions", ignore_errors=True)
        for stale in (folder.outcome, folder.evaluation, folder.predictions, delivery, asked):
            stale.unlink(missing_ok=True)
        with Ledger() as ledger:
            job, opened, opened_s = self._opened(ledger, lease, fleet, is_made_anew=was_looked_at)
            agree = _agreement(ledger, folder, self.tell)
            agree()
            how: SessionEnd = "error"
            state = RunState.FAILED
            session_end = self.job.session_end
            upload = Deadline("upload", 0.0)  # send nothing more
            self._begin(job.token)
            fleet.start()
            tracking = Tracking(self.track, job if isinstance(job, TrainJob) else None, folder)
            tracking.start(token=job.token, is_fresh=is_fresh)
            heart = Heart(opened, lease)
            try:
                outcome = watch(
                    job,
                    folder,
                    self.platform,
                    self.processes,
                    show=self.show,
                    fleet=fleet,
                    tracking=tracking,
                    session_end=session_end,
                    received=self.received,
                    card=None if self.lane is None else self.lane.card,
                )
                how, state = _ENDS[outcome.state], outcome.state
                upload = session_end
                if outcome.state == RunState.INTERRUPTED:
                    upload = session_end.at_latest(time.monotonic() + _LAST_PUSH_S)
                if outcome.state == RunState.COMPLETED:  # the delivered model is the result
                    shutil.rmtree(folder.checkpoints, ignore_errors=True)
                return outcome
            except Interrupted:
                how, state = "interrupted", RunState.INTERRUPTED
                if fleet.fenced is not None:  # before the worker could say a word
                    return None
                raise
            except WorkerDied:
                state = RunState.INTERRUPTED  # it can go on
                upload = Deadline("upload", time.monotonic() + _LAST_PUSH_S)
                raise
            finally:
                heart.stop()
                tracking.ask_to_end()
                agree()  # the hours so far go with the last upload
                self._finish(fleet, tracking, upload)
                note = _closed(ledger, opened, job.run, how, state, opened_s)
                if note is not None:
                    self.tell(note)
                agree()

    def _begin(self, token: int) -> None:
        """Say in the run's events that what follows is this session's, before there is a worker."""
        event = Event(
            kind="session",
            at=_now().isoformat(),
            elapsed_s=round(time.monotonic() - self.job.started_monotonic_s, 3),
            data={"token": token},
        )
        with suppress(CannotWrite, NoDiskSpace):
            files.append_line(self.folder.events, event.model_dump_json())

    def _opened(
        self, ledger: Ledger, lease: Lease, fleet: Fleet, *, is_made_anew: bool
    ) -> tuple[Job, str, float]:
        """The worker's job on the disk, the session in the ledger, and when it was opened.

        `is_made_anew`: whether what is made here was looked at, and is made another time."""
        job, device, age = self.job, self.platform.accelerator, session_age()
        ledger.record_run(
            job.run,
            preset=job.label,
            dataset=job.dataset.name,
            seed=job.seed,
            folder=str(self.folder.path),
            now=_now(),
            state=RunState.RUNNING,
        )
        lives = lifetime.lives(ledger.sessions(), self.platform.name, _now())
        job = job.model_copy(
            update={
                "token": lease.token,
                "writer": lease.writer,
                "session_end_monotonic_s": _worker_end(job.session_end, fleet).end_s,
                "lifetime_s": lifetime.mean_s(lives, age_s=age.seconds if age else None),
            }
        )
        if self.test is not None and self.test.dataset.test is not None:
            path, rows = self.folder.test_order, self.test.dataset.test.rows
            order = locking.prepared(self.test, self.folder, is_made_anew=is_made_anew)
            write_text_atomically(path, order.model_dump_json(indent=2))
            job = job.model_copy(update={"test": str(path), "test_rows": rows})
        write_text_atomically(self.folder.job, job.model_dump_json(indent=2))
        opened_s = time.monotonic()
        session = ledger.open_session(
            job.run,
            platform=self.platform.name,
            accelerator=device.name,
            resource=RESOURCES[device.kind],
            entered_s=age.seconds if age else 0.0,
            now=_now(),
        )
        return job, session, opened_s

    def _finish(self, fleet: Fleet, tracking: Tracking, end: Deadline) -> None:
        """The last upload, then the last words to a tracker; a Ctrl-C from here on ends both."""
        before = len(self.received)

        def is_stopped() -> bool:
            return signal.SIGINT in self.received[before:]

        if fleet.addresses:
            where = ", ".join(fleet.addresses)
            self.tell(Note(f"sending what is newest to {where}", is_phase=True))
        for note in fleet.finish(end, is_stopped=is_stopped):
            self.tell(note)
        command_end = self.job.session_end.at_latest(self.job.budget.end_s or math.inf)
        for note in tracking.finish(command_end, is_stopped=is_stopped):
            self.tell(note)


def _is_done(ended: Outcome | None, job: Job) -> bool:
    """Whether all that the job is for is done."""
    if ended is None or ended.state != RunState.COMPLETED or not job.nodes:
        return False
    return set(job.nodes) <= set(ended.done)


def _brought(
    job: Job, remotes: Sequence[Remote], folder: RunFolder, tell: Callable[[Note], None]
) -> Outcome | None:
    """Pull from stores what is further than what is here; how the run ended where one has all."""
    further = [remote for remote in remotes if stores.is_further(remote, folder)]
    pulled = stores.bring(further, folder)
    for what, address in pulled.parcels:
        tell(Note(f"{what} comes from {address}"))
    for what, why in pulled.skipped:
        tell(Note(f"{what} is passed over: {why}", True))
    ended = folder.ended()
    return ended if _is_done(ended, job) else None


def _in_words(failure: Failure, folder: RunFolder) -> ReportedError:
    """What the worker said of its end, and what is saved all the same."""
    found = kept(folder)
    hint = failure.hint
    if found.is_anything:
        hint = f"{hint}\nSo far: {found.sentence}."
    error = ReportedError(failure.message, hint.strip(), failure.exit_code, failure.kind)
    return said(error, found)


def _closed(
    ledger: Ledger, session: str, run: str, how: SessionEnd, state: RunState, opened_s: float
) -> Note | None:
    """Enter how the session ended; where the ledger does not answer, in the journal beside it."""
    held_s = time.monotonic() - opened_s
    try:
        with ledger.patience(_LEDGER_S):
            ledger.close_session(session, how, _now(), held_s)
            ledger.set_state(run, state, _now())
        return None
    except (CannotWrite, NoDiskSpace) as error:
        reason = error.message
    try:
        ledger.close_in_journal(session, how, state, _now(), held_s)
    except (CannotWrite, NoDiskSpace) as error:
        until = "the hours of this session are counted up to its last sign of life"
        return Note(f"{error.message}; {until}", True)
    return Note(f"{reason}; the hours of this session are entered when it opens again", True)


def _agreement(
    ledger: Ledger, folder: RunFolder, tell: Callable[[Note], None]
) -> Callable[[], None]:
    """The ledger travels with the store, so that every machine that uses it counts all hours.

    A file there that is no ledger is named once.
    """
    from agnews_cli.store.hours import copies

    said: set[str] = set()
    taken: set[str] = set()

    def say(text: str) -> None:
        if text not in said:
            said.add(text)
            tell(Note(text, True))

    def agree() -> None:
        # A copy that was not made is made next time; no reason to stop.
        with (
            suppress(CannotRead, CannotWrite, NoDiskSpace, CheckpointDamaged),
            ledger.patience(_LEDGER_S),
        ):
            ledger.require_free()
            place = folder.path.parent / copies.FOLDER
            copies.ship(ledger, place, now=_now(), tell=say, taken=taken)

    return agree


def _worker_end(session_end: Deadline, fleet: Fleet) -> Deadline:
    """When the worker must have saved, so that the last upload is done by the session's end."""
    now_s = time.monotonic()
    return session_end.before(
        session_end.reserve_s(fleet.reserve_s, most=MOST_RESERVED, since_s=now_s)
    )


def _now() -> datetime:
    return datetime.now(UTC)
