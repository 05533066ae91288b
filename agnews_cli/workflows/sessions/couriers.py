"""Uploads beside training: one thread for each store, one upload at a time.

A courier wakes when something was saved and sends what is newest then; while it is busy, newer
checkpoints wait and older ones are left out (back-pressure). A store that fails is told of once,
tried again later with growing pauses, and never stops training. Only a store that shows another
session training the same run does.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from agnews_cli.core.run.deadline import Deadline
from agnews_cli.core.run.job import Event
from agnews_cli.core.run.state import RunState
from agnews_cli.core.saving.checkpoint import Key
from agnews_cli.core.saving.reserve import reserve_s
from agnews_cli.errors import AgnewsError, Fenced
from agnews_cli.store.hours import copies, ledger_mirror
from agnews_cli.store.remotes.patience import Patient
from agnews_cli.store.remotes.remote import Remote
from agnews_cli.store.run.runs import RunFolder
from agnews_cli.store.settings.secrets import hidden
from agnews_cli.store.transfer import claims, look_mirror, parcels
from agnews_cli.store.transfer.receipts import Book
from agnews_cli.store.transfer.sync import Sync

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 15.0, 600.0
_TRIES = 5  # in one round
_LAST_ROUNDS = 2  # failed rounds at the end, each with several tries, before giving up
_POLL_S = 0.1
_FIRST_UPLOAD_S, _GUARD_S = 20.0, 5.0  # what one may take before one was measured; and a reserve


@dataclass(frozen=True, slots=True)
class Note:
    """For the user. `is_warning`: something did not work; `is_phase`: it is what goes on now."""

    text: str
    is_warning: bool = False
    is_phase: bool = False

    def event(self, started_monotonic_s: float) -> Event:
        """As an event of the run whose command began then."""
        kind: Literal["phase", "warning", "note"] = "warning" if self.is_warning else "note"
        return Event(
            kind="phase" if self.is_phase else kind,
            at=datetime.now(UTC).isoformat(),
            elapsed_s=round(time.monotonic() - started_monotonic_s, 3),
            data={"name" if self.is_phase else "text": self.text},
        )


def fencing_floor(
    remotes: Sequence[Remote], run: RunFolder, now: datetime, *, takeover: bool
) -> tuple[int, dict[str, str]]:
    """The highest fencing number that any store knows; and why stores do not answer, by address.

    Raises RunBusy while one of them shows a session elsewhere that lives.
    """
    highest, silent = 0, {}
    work = run.path / "stores" / "work-claims"
    for remote in remotes:
        try:
            entries = remote.list(f"{run.id}/")
            highest = max(highest, claims.newest_token(entries))
        except AgnewsError as error:
            silent[remote.address] = error.message
            continue
        if not takeover and not remote.promises.is_read_only:
            claims.require_free(remote, run.path, entries, now, work)
    return highest, silent


class Courier(threading.Thread):
    """Keeps one store up to date."""

    def __init__(self, remote: Remote, run: RunFolder, *, token: int, writer: str) -> None:
        super().__init__(name=f"courier {remote.address}", daemon=True)
        self._over = threading.Event()
        patient = Patient(remote, tries=_TRIES, sleep=self._pause, is_over=self._over.is_set)
        self._sync = Sync(patient, run, token=token, writer=writer)
        self._wake = threading.Event()
        self._is_ending = False
        self.notes: deque[Note] = deque()
        self.fenced: Fenced | None = None
        self.problem = ""
        """Why the last round failed; empty where it did not."""

    @property
    def address(self) -> str:
        return self._sync.remote.address

    @property
    def book(self) -> Book:
        return self._sync.book

    def _pause(self, seconds: float) -> None:
        self._over.wait(seconds)

    def wake(self) -> None:
        """Something was saved."""
        self._wake.set()

    def end(self) -> None:
        """Send what is newest, then stop."""
        self._is_ending = True
        self._wake.set()

    def abandon(self) -> None:
        """Stop without finishing."""
        self._over.set()
        self._wake.set()

    def run(self) -> None:
        pause_s, failures, is_first = claims.BEAT_S / 10, 0, True
        self._wake.set()  # claim the run now
        while not self._over.is_set():
            is_news = self._wake.wait(timeout=pause_s)
            self._wake.clear()  # before the look: who asks meanwhile wakes the next round
            is_last = self._is_ending
            if self._over.is_set():
                return
            try:
                if is_news or self.problem:
                    self._sync.push()
                else:
                    self._sync.look()
                if is_first or is_last:
                    self._exchange()
                    is_first = False
                if is_last:
                    self._sync.release()
                    self.problem = ""
                    return
            except Fenced as error:
                self.fenced = error
                return
            except Exception as error:  # whatever it is: training goes on
                failures += 1
                self._tell(error)
                if is_last and failures >= _LAST_ROUNDS:
                    return
                grown_s = _FIRST_PAUSE_S * 2 ** min(failures - 1, 10)
                pause_s = 1.0 if self._is_ending else min(grown_s, _LONGEST_PAUSE_S)
                if is_last:
                    self._wake.set()
                continue
            if self.problem:
                self.notes.append(Note(f"{self.address} answers again; it is up to date"))
            self.problem, failures, pause_s = "", 0, claims.BEAT_S / 10

    def _exchange(self) -> None:
        """Hours, and looks at test rows, that are not told now are told next time: no reason to try
        the round again."""
        remote, store = self._sync.remote, self._sync.run.path.parent
        if not remote.promises.beats:  # there a small file costs as much as a large one
            return
        each: tuple[tuple[str, Callable[[], int]], ...] = (
            (
                "the ledger of hours was",
                lambda: ledger_mirror.exchange(remote, store / copies.FOLDER),
            ),
            ("looks at test rows were", lambda: look_mirror.exchange(remote, store)),
        )
        for what, exchange in each:
            try:
                exchange()
            except (AgnewsError, OSError) as error:
                text = f"{self.address}: {what} not exchanged: {error}"
                self.notes.append(Note(hidden(text), True))

    def _tell(self, error: Exception) -> None:
        text = error.message if isinstance(error, AgnewsError) else f"{self.address}: {error}"
        text = hidden(text)
        self._sync.book.failed(text)
        if text != self.problem:
            self.notes.append(Note(f"{text}; training goes on, it is tried again", True))
        self.problem = text


class Fleet:
    """The couriers of a session; nothing happens where there are no stores."""

    def __init__(
        self, remotes: Sequence[Remote], run: RunFolder, *, token: int, writer: str
    ) -> None:
        self._run = run
        self.remotes = tuple(r for r in remotes if not r.promises.is_read_only)
        self._couriers = [Courier(r, run, token=token, writer=writer) for r in self.remotes]

    def start(self) -> None:
        for courier in self._couriers:
            courier.start()

    def wake(self) -> None:
        for courier in self._couriers:
            courier.wake()

    def notes(self) -> list[Note]:
        """What happened since the last call."""
        found = []
        for courier in self._couriers:
            while courier.notes:
                found.append(courier.notes.popleft())
        return found

    @property
    def addresses(self) -> tuple[str, ...]:
        """Of the stores that are sent to."""
        return tuple(courier.address for courier in self._couriers)

    @property
    def fenced(self) -> Fenced | None:
        """Another session trains this run, as a store shows."""
        return next((c.fenced for c in self._couriers if c.fenced is not None), None)

    @property
    def fenced_by(self) -> str:
        """The store that shows it."""
        return next((c.address for c in self._couriers if c.fenced is not None), "")

    @property
    def reserve_s(self) -> float:
        """Seconds that the last upload may take; 0 without stores."""
        return max(
            (
                reserve_s(c.book.page.durations_s, guess_s=_FIRST_UPLOAD_S, guard_s=_GUARD_S)
                for c in self._couriers
            ),
            default=0.0,
        )

    def finish(self, end: Deadline, *, is_stopped: Callable[[], bool]) -> list[Note]:
        """Send what is newest, until done, `end` or a stop; what each store has then."""
        for courier in self._couriers:
            courier.end()
        late = "time was up"
        while any(courier.is_alive() for courier in self._couriers):
            if is_stopped():
                late = "it was stopped"
                break
            if end.is_over(time.monotonic()):
                break
            time.sleep(_POLL_S)
        whys = [c.problem or (late if c.is_alive() else "") for c in self._couriers]
        for courier in self._couriers:
            courier.abandon()
        verdicts = map(self._verdict, self._couriers, whys)
        return [*self.notes(), *verdicts]

    def _verdict(self, courier: Courier, why: str) -> Note:
        states = courier.book.page.parcels
        newest = _newest_here(self._run)
        why = f": {why}" if why else ""
        if newest is None:
            return Note(f"{courier.address}: nothing to keep yet")
        what = "the model" if isinstance(newest, str) else f"step {newest.step}"
        state = next((s for name, s in states.items() if _is_of(name, newest)), None)
        if state == "verified":
            return Note(f"{courier.address}: {what} is there, read back and verified")
        if state == "sent":
            return Note(f"{courier.address}: {what} was sent; no read from here proves it arrived")
        older = max((k for n in states if (k := Key.parse(n.rpartition("/")[2]))), default=None)
        before = f"; it has step {older.step}" if older is not None and older.step else ""
        return Note(f"{courier.address}: {what} is not there{before}{why}", True)


def _newest_here(run: RunFolder) -> Key | str | None:
    if parcels.run_state(run) == RunState.COMPLETED:
        return parcels.DELIVERY
    return max((parcel.key for parcel in parcels.newest_local(run)), default=None)


def _is_of(name: str, newest: Key | str) -> bool:
    if isinstance(newest, str):
        return name.startswith(f"{newest}/")
    return name.rpartition("/")[2] == f"{newest.id}.json"
