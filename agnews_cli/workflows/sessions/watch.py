"""A worker watched: its events shown, its stop asked for in good order, its outcome read.

SIGINT, SIGTERM, SIGHUP and a reader that left (a broken pipe, a closed notebook) ask the worker to
stop in good order, and so does a notebook's kernel that is gone. A second SIGINT ends it at once.
Other signals do not, nor a SIGINT that follows quickly: notebooks send several for one press.

Nothing here waits for whoever reads: `show` takes an event and returns. Signs of life and uploads
have threads of their own (`heart`, `couriers`).
"""

from __future__ import annotations

import math
import shlex
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TypeVar

from agnews_cli.core.machine.platform import Platform
from agnews_cli.core.run.deadline import Deadline
from agnews_cli.core.run.job import Event, Job, Outcome, ReaderLeft, ReaderStalled
from agnews_cli.core.run.state import RunState
from agnews_cli.core.text import duration
from agnews_cli.errors import (
    AgnewsError,
    BudgetTooShort,
    CannotWrite,
    Interrupted,
    NoDiskSpace,
    ReaderGone,
    Terminated,
    WorkerDied,
)
from agnews_cli.host import launch
from agnews_cli.host.notebook import Lifeline
from agnews_cli.store.disk import files
from agnews_cli.store.disk.files import write_text_atomically
from agnews_cli.store.remotes.remote import Remote
from agnews_cli.store.run.events import Tail
from agnews_cli.store.run.runs import RunFolder
from agnews_cli.workflows.sessions.couriers import Fleet, Note
from agnews_cli.workflows.sessions.kept import Kept, kept
from agnews_cli.workflows.sessions.tracking import Tracking

_POLL_S = 0.1
_LATE_S = 20.0  # past its deadline by so much, the worker is ended
_CLOSING_S = 1.0  # past its session's end by so much, the worker is ended: the platform would
_BURST_S = 2.0  # a SIGINT so soon after the first belongs to the same press of a stop button
_ASLEEP_S = 5.0  # between two looks: it did not run meanwhile
_GRACE_S = 60.0  # to save what there is after a stop was asked for
MOST_RESERVED = 0.25
"""Of a session, at most so much is kept for its last upload."""

Show = Callable[[Event], None]
Failed = TypeVar("Failed", bound=AgnewsError)


def watch(
    job: Job,
    folder: RunFolder,
    platform: Platform,
    processes: int,
    *,
    show: Show,
    fleet: Fleet,
    tracking: Tracking,
    session_end: Deadline,
    received: list[int],
    card: int | None = None,
) -> Outcome:
    """Launch the worker on the job file and watch it to its outcome.

    `received`: stop signals as they come (`signals`). `card`: the only GPU that it may use. Raises
    Interrupted or WorkerDied.
    """
    tail = Tail(folder.events, is_new=True)
    worker = launch.start(
        folder.job,
        folder.log,
        platform.accelerator,
        processes=processes,
        cpu_count=platform.cpu_count,
        is_light=job.is_light,
        card=card,
    )
    watched = _Watch(
        job, folder, worker, tail, show, fleet, tracking, session_end, received, processes
    )
    try:
        outcome = watched.until_over()
    finally:
        worker.close()  # before anybody looks at what is saved: it may still have been saving
    if outcome is None:
        raise watched.end_without_outcome()
    return outcome


@dataclass(slots=True)
class _Watch:
    job: Job
    folder: RunFolder
    worker: launch.WorkerProcess
    tail: Tail
    show: Show
    fleet: Fleet
    tracking: Tracking
    session_end: Deadline
    received: list[int]
    """Signals, as they come; a reader that left and a kernel that is gone count as one."""
    processes: int = 1
    answered: int = 0
    pid: int | None = None
    save_s: float = 0.0
    """How long the last save took."""
    asked_s: float | None = None
    """When the worker was asked to stop."""
    is_time_up: bool = False
    """Whether it was asked because the last upload needs the rest of the session."""
    began_s: float = field(default_factory=time.monotonic)
    lifeline: Lifeline = field(default_factory=Lifeline)
    looked_s: float = field(default_factory=time.monotonic)
    woke_s: float = -math.inf
    """When it last went on after a sleep."""
    is_stalled: bool = False
    """Whether nobody reads what is shown."""
    code: int | None = None
    """Of the launcher, once it has ended."""

    def until_over(self) -> Outcome | None:
        """The outcome; None where the worker leaves none, died or is no longer waited for."""
        while True:
            code = self.worker.poll()  # first: what it wrote before it ended is then there
            self._show_news()
            if (outcome := self._outcome()) is not None:
                return outcome
            if code is not None:
                self.code = code
                return Outcome(state=RunState.PAUSED) if self.is_time_up else None
            now_s = time.monotonic()
            if self._is_past_end(now_s):
                return Outcome(state=RunState.PAUSED)  # what is committed is safe; the rest is late
            if self._is_given_up(now_s):
                return None
            if self.asked_s is None and self._must_stop(now_s):
                self.asked_s = now_s
                self.worker.ask_to_stop(self.pid)
            time.sleep(_POLL_S)

    def _is_past_end(self, now_s: float) -> bool:
        """Whether the session is over, so that the worker is no longer waited for.

        A command that slept (SIGSTOP, a machine that was suspended) may wake when it is: then the
        worker, which slept too, gets the time to save.
        """
        if now_s - self.looked_s > _ASLEEP_S:
            self.woke_s = now_s
        self.looked_s = now_s
        end_s = self.session_end.end_s
        return end_s is not None and now_s > max(end_s, self.woke_s + _GRACE_S) + _CLOSING_S

    def end_without_outcome(self) -> AgnewsError:
        """What to say of a worker that left no outcome, when it is gone."""
        if self.asked_s is None:
            found = kept(self.folder)
            how = _how(self.code or 0, self.processes)
            again = go_on(self.folder, found, self.fleet.remotes)
            return said(
                WorkerDied(how=how, log=self.folder.log, kept=found.sentence, next=again), found
            )
        budget = self.job.budget
        if self.received or not budget.is_over(time.monotonic()):
            return stopped(self.folder, self.received, remotes=self.fleet.remotes)
        given_s = budget.left_s(self.job.started_monotonic_s)
        found = kept(self.folder)
        reason = f"it ended before there was a model; {found.sentence}"
        least = f"{2 * given_s:.0f}s"
        return said(BudgetTooShort(given=duration.show(given_s), reason=reason, least=least), found)

    def _show_news(self) -> None:
        for event in self.tail.read():
            if event.kind == "started":
                self.pid = int(event.data["pid"])
            if event.kind == "saved":
                self.save_s = float(event.data.get("seconds", 0.0))
                self.fleet.wake()
            self._show(event)
        for note in (*self.fleet.notes(), *self.tracking.notes()):
            self._show(note.event(self.job.started_monotonic_s))

    def _show(self, event: Event) -> None:
        is_stalled = False
        try:
            self.show(event)
        except ReaderStalled:
            is_stalled = True
            if not self.is_stalled:
                self._say_stalled()
        except ReaderLeft:
            self.received.append(signal.SIGPIPE)
            self.show = _unseen
        self.is_stalled = is_stalled

    def _say_stalled(self) -> None:
        """In the run's events, since nobody reads the screen; who does again finds it there."""
        note = Note("nobody reads what this command prints; the run goes on without it")
        event = note.event(self.job.started_monotonic_s)
        with suppress(AgnewsError):
            files.append_line(self.folder.events, event.model_dump_json())

    def _must_stop(self, now_s: float) -> bool:
        """Whether anything asks for a stop in good order; asked until one does."""
        if self.lifeline.is_cut():
            self.received.append(signal.SIGHUP)
        if self.received:
            self.answered = len(self.received)
            return True
        if self.job.budget.before(-_LATE_S).is_over(now_s):
            return True
        # Uploads that take longer than was known at the start end training earlier.
        reserve_s = self.session_end.reserve_s(
            self.fleet.reserve_s, most=MOST_RESERVED, since_s=self.began_s
        )
        last = self.session_end.before(reserve_s + 2.0 * self.save_s + 1.0)
        self.is_time_up = reserve_s > 0 and last.is_over(now_s)
        return self.is_time_up or self.fleet.fenced is not None

    def _is_given_up(self, now_s: float) -> bool:
        """Whether a stop that was asked for is no longer waited for."""
        if self.asked_s is None:
            return False
        news, self.answered = self.received[self.answered :], len(self.received)
        is_pressed_again = signal.SIGINT in news and now_s - self.asked_s > _BURST_S
        return is_pressed_again or now_s - self.asked_s > _GRACE_S

    def _outcome(self) -> Outcome | None:
        """This session's; what the worker of another one still wrote is not."""
        outcome = self.folder.ended()
        if outcome is None:
            return None
        if outcome.writer != self.job.writer:
            return None
        if self.is_time_up and outcome.state == RunState.INTERRUPTED:
            outcome = outcome.model_copy(update={"state": RunState.PAUSED})
            with suppress(CannotWrite, NoDiskSpace):  # the record alone; it says interrupted
                write_text_atomically(self.folder.outcome, outcome.model_dump_json(indent=2))
        return outcome


def _unseen(event: Event) -> None: ...


AGAIN = "The same command trains this run again."


def resume_command(folder: RunFolder, remotes: Sequence[Remote] = ()) -> str:
    """What to type to go on, from anywhere on this machine; with a further store, on any."""
    further = [remote.address for remote in remotes if not remote.promises.is_read_only]
    stores = [str(folder.path.parent), *further]
    return f"agnews resume {folder.id} " + " ".join(f"--store {shlex.quote(s)}" for s in stores)


def stopped(
    folder: RunFolder,
    received: Sequence[int],
    *,
    outcome: Outcome | None = None,
    remotes: Sequence[Remote],
) -> Interrupted:
    """What to say of a run that was stopped from outside, and by whom.

    `outcome`: the worker's, where it stopped in good order.
    """
    found = kept(folder, outcome)
    kind: type[Interrupted] = Terminated
    if signal.SIGINT in received:
        kind = Interrupted
    elif received and signal.SIGTERM not in received:
        kind = ReaderGone
    so_far = ""
    if outcome is not None and outcome.model_step:
        so_far = f"; the model so far, of step {outcome.model_step}, is in {folder.model}"
    return said(kind(kept=found.sentence + so_far, next=go_on(folder, found, remotes)), found)


def go_on(folder: RunFolder, found: Kept, remotes: Sequence[Remote] = ()) -> str:
    """The next command, as a sentence."""
    if found.is_anything:
        return f"Go on with: {resume_command(folder, remotes)}"
    return AGAIN


def said(error: Failed, found: Kept) -> Failed:
    """`error`, with what is kept for `--json`."""
    error.facts["saved"] = found.as_json()
    return error


def _how(code: int, processes: int) -> str:
    if code < 0 or code > 128:
        number = -code if code < 0 else code - 128
        with suppress(ValueError):
            name = signal.Signals(number).name
            more = ", often the system ending a process that used too much memory"
            return f"{name}{more if name == 'SIGKILL' else ''}"
    if processes > 1:  # all that their launcher says
        return f"one of its {processes} processes ended"
    return f"exit code {code}"


@contextmanager
def signals() -> Iterator[list[int]]:
    """Collects stop signals instead of dying from them; handlers are put back after.

    What was ignored before stays so: `nohup` and shells that put a command into the background
    mean it.
    """
    received: list[int] = []
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    heeded = [n for n in numbers if signal.getsignal(n) is not signal.SIG_IGN]
    try:
        before = {n: signal.signal(n, lambda number, _: received.append(number)) for n in heeded}
    except ValueError:  # not the main thread: somebody else owns the signals
        yield received
        return
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
