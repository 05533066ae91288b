"""A worker watched: its events shown, its stop asked for in good order, its outcome read.

SIGINT, SIGTERM, SIGHUP and a reader that left (a broken pipe, a closed notebook) ask the worker to
stop in good order, and so does a notebook's kernel that is gone. A second SIGINT ends it at once.
Other signals do not, nor a SIGINT that follows quickly: notebooks send several for one press.
"""

from __future__ import annotations

import shlex
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError

from agnews_cli.core import duration
from agnews_cli.core.job import Event, Job, Outcome, ReaderLeft
from agnews_cli.core.platform import Platform
from agnews_cli.errors import AgnewsError, BudgetTooShort, Interrupted, WorkerDied
from agnews_cli.host import launch
from agnews_cli.host.notebook import Lifeline
from agnews_cli.store.remotes.remote import Remote
from agnews_cli.store.runs import RunFolder, write_text_atomically
from agnews_cli.workflows.couriers import Fleet

_POLL_S = 0.1
_LATE_S = 20.0  # past its deadline by so much, the worker is ended
_CLOSING_S = 1.0  # past its session's end by so much, the worker is ended: the platform would
_BURST_S = 2.0  # a SIGINT so soon after the first belongs to the same press of a stop button
_GRACE_S = 60.0  # to save what there is after a stop was asked for
MOST_RESERVED = 0.25
"""Of a session, at most so much is kept for its last upload."""

Show = Callable[[Event], None]


def watch(
    job: Job,
    folder: RunFolder,
    platform: Platform,
    processes: int,
    *,
    show: Show,
    beat: Callable[[], None],
    fleet: Fleet,
    end_s: float | None,
) -> Outcome:
    """Launch the worker on the job file and watch it to its outcome.

    `end_s`: when the session ends, on the monotonic clock. Raises Interrupted or WorkerDied.
    """
    tail = Tail(folder.events, at=folder.events.stat().st_size if folder.events.exists() else 0)
    worker = launch.start(
        folder.job,
        folder.log,
        platform.accelerator,
        processes=processes,
        cpu_count=platform.cpu_count,
    )
    with signals() as received:
        try:
            return _Watch(job, folder, worker, tail, show, fleet, end_s, received).until_over(beat)
        finally:
            worker.close()


@dataclass(slots=True)
class _Watch:
    job: Job
    folder: RunFolder
    worker: launch.WorkerProcess
    tail: Tail
    show: Show
    fleet: Fleet
    end_s: float | None
    received: list[int]
    """Signals, as they come; a reader that left and a kernel that is gone count as one."""
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

    def until_over(self, beat: Callable[[], None]) -> Outcome:
        while True:
            code = self.worker.poll()  # first: what it wrote before it ended is then there
            self._show_news()
            if (outcome := self._outcome()) is not None:
                return outcome
            if code is not None:
                if self.is_time_up:
                    return Outcome(state="paused")
                if self.asked_s is not None:
                    raise self._stopped()
                raise WorkerDied(
                    how=_how(code), log=self.folder.log, next=resume_command(self.folder)
                )
            now_s = time.monotonic()
            if self.end_s is not None and now_s > self.end_s + _CLOSING_S:
                return Outcome(state="paused")  # what is committed is safe; the rest is late
            if self._is_given_up(now_s):
                raise self._stopped()
            if self.asked_s is None and self._must_stop(now_s):
                self.asked_s = now_s
                self.worker.ask_to_stop(self.pid)
            beat()
            time.sleep(_POLL_S)

    def _show_news(self) -> None:
        for event in self.tail.read():
            if event.kind == "started":
                self.pid = int(event.data["pid"])
            if event.kind == "saved":
                self.save_s = float(event.data.get("seconds", 0.0))
                self.fleet.wake()
            self._show(event)
        for note in self.fleet.notes():
            self._show(note.event(self.job.started_monotonic_s))

    def _show(self, event: Event) -> None:
        try:
            self.show(event)
        except ReaderLeft:
            self.received.append(signal.SIGPIPE)
            self.show = _unseen

    def _must_stop(self, now_s: float) -> bool:
        """Whether anything asks for a stop in good order; asked until one does."""
        if self.lifeline.is_cut():
            self.received.append(signal.SIGHUP)
        if self.received:
            self.answered = len(self.received)
            return True
        deadline_s = self.job.deadline_monotonic_s
        if deadline_s is not None and now_s > deadline_s + _LATE_S:
            return True
        if self.end_s is not None:
            # Uploads that take longer than was known at the start end training earlier.
            reserve_s = min(self.fleet.reserve_s, MOST_RESERVED * (self.end_s - self.began_s))
            last_s = self.end_s - reserve_s - 2.0 * self.save_s - 1.0
            self.is_time_up = reserve_s > 0 and now_s > last_s
        return self.is_time_up or self.fleet.fenced is not None

    def _is_given_up(self, now_s: float) -> bool:
        """Whether a stop that was asked for is no longer waited for."""
        if self.asked_s is None:
            return False
        news, self.answered = self.received[self.answered :], len(self.received)
        is_pressed_again = signal.SIGINT in news and now_s - self.asked_s > _BURST_S
        return is_pressed_again or now_s - self.asked_s > _GRACE_S

    def _stopped(self) -> AgnewsError:
        """What to say of a worker that was asked to stop and left no outcome."""
        deadline_s = self.job.deadline_monotonic_s
        if self.received or deadline_s is None or time.monotonic() < deadline_s:
            return interrupted(self.folder)
        given_s = deadline_s - self.job.started_monotonic_s
        return BudgetTooShort(
            given=duration.show(given_s),
            reason="it ended before there was a model",
            least=f"{2 * given_s:.0f}s",
        )

    def _outcome(self) -> Outcome | None:
        """This session's; what the worker of another one still wrote is not."""
        if not self.folder.outcome.exists():
            return None
        outcome = Outcome.model_validate_json(self.folder.outcome.read_text("utf-8"))
        if outcome.writer != self.job.writer:
            return None
        if self.is_time_up and outcome.state == "interrupted":
            outcome = outcome.model_copy(update={"state": "paused"})
            write_text_atomically(self.folder.outcome, outcome.model_dump_json(indent=2))
        return outcome


def _unseen(event: Event) -> None: ...


def resume_command(folder: RunFolder, remotes: Sequence[Remote] = ()) -> str:
    """What to type to go on, from anywhere on this machine; with a further store, on any."""
    further = [remote.address for remote in remotes if not remote.promises.is_read_only]
    stores = [str(folder.path.parent), *further]
    return f"agnews resume {folder.id} " + " ".join(f"--store {shlex.quote(s)}" for s in stores)


def interrupted(folder: RunFolder) -> Interrupted:
    """What to say when the user stopped the run."""
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
def signals() -> Iterator[list[int]]:
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


class Tail:
    """Whole lines appended to a file since the last `read`."""

    def __init__(self, path: Path, at: int = 0) -> None:
        self._path, self._at = path, at

    def read(self) -> Iterator[Event]:
        """New events; a line still being written waits for the next call.

        What is no event is left out: the rest of a line that a full disk or a kill tore.
        """
        if not self._path.exists():
            return
        with self._path.open("rb") as file:
            file.seek(self._at)
            data = file.read()
        whole = data[: data.rfind(b"\n") + 1]
        self._at += len(whole)
        for line in whole.split(b"\n"):
            with suppress(ValidationError):
                yield Event.model_validate_json(line)
