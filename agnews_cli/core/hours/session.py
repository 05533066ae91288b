"""A session as its journal tells it: one life of one machine, and the time it held it.

A session's journal is a list of entries that one machine wrote, numbered from 1. `fold` reads them
in any order, whole or with gaps; `join` puts together what two copies know. Both take the most that
anybody knows (the longest time, the latest beat, the first closing), so `join` does not care about
order or repetition, and two machines that exchange their journals come to one truth.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, get_args

from agnews_cli.core.hours.resource import Resource
from agnews_cli.core.run.state import RunState

SessionState = Literal["open", "finished", "deadline", "interrupted", "error", "user", "died"]
SessionEnd = Literal["finished", "deadline", "interrupted", "error", "user", "died"]
_NAME = re.compile(r"[0-9A-Za-z][0-9A-Za-z.+-]{0,99}")
_HIDDEN = re.compile(r"run-[0-9a-f]{16}")
_MOST_S = 100 * 365 * 86400.0  # a machine's uptime may be years
_MOST_TEXT = 4096
EARLIEST, LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(3000, 1, 1, tzinfo=UTC)
"""Clocks are set wrong; beyond these, arithmetic with times fails."""

STALE_S = 600.0
"""Another machine's session that gave no sign of life for so long is over; its hours stand."""


@dataclass(frozen=True, slots=True)
class Run:
    """A run as the ledger knows it; where two copies differ, the later change holds."""

    id: str
    preset: str
    dataset: str
    seed: int
    state: RunState
    folder: str
    created_at: datetime
    updated_at: datetime

    def __post_init__(self) -> None:
        _require_texts(self.id, self.preset, self.dataset, self.folder)
        _require_numbers(self.seed)
        object.__setattr__(self, "state", RunState(self.state))  # from outside it is a text
        _require_moments(self.created_at, self.updated_at)

    def join(self, other: Run) -> Run:
        """Where both were changed at one moment, the greater text: any rule, but one rule.

        A copy of elsewhere has neither folder nor preset: those that are known stay.
        """
        newest = max(self, other, key=lambda run: (run.updated_at, run.state, repr(run)))
        named = newest if newest.preset else self if self.preset else other
        return replace(
            named,
            state=newest.state,
            created_at=min(self.created_at, other.created_at),
            updated_at=newest.updated_at,
            folder=newest.folder or self.folder or other.folder,
        )

    @property
    def hidden(self) -> Run:
        """All that another machine needs: hours belong to something, whose name says nothing."""
        return replace(self, id=hidden(self.id), preset="", dataset="", seed=0, folder="")


@dataclass(frozen=True, slots=True)
class Split:
    """Where a session's time went; the parts add up to the whole (see `core.hours.accounting`)."""

    useful_s: float = 0.0
    redone_s: float = 0.0
    stalled_s: float = 0.0
    starting_s: float = 0.0
    idle_s: float = 0.0

    def __post_init__(self) -> None:
        parts = (self.useful_s, self.redone_s, self.stalled_s, self.starting_s, self.idle_s)
        _require_amounts(*parts)

    @property
    def whole_s(self) -> float:
        return self.useful_s + self.redone_s + self.stalled_s + self.starting_s + self.idle_s


@dataclass(frozen=True, slots=True)
class Session:
    """`seconds` is the time held so far: to the end, or to the last beat of an open session."""

    id: str
    """Unique among all machines."""
    seq: int
    """Number of the last entry known."""
    run: str
    platform: str
    accelerator: str
    resource: Resource
    machine: str
    pid: int
    entered_s: float
    """How old the machine's own session was when this one began."""
    opened_at: datetime
    beat_at: datetime
    seconds: float
    state: SessionState = "open"
    ended_at: datetime | None = None
    closed_seq: int | None = None
    split: Split | None = None
    """None while it is open, and where the run's events are gone."""
    process: str = ""
    """When process `pid` began, by the machine's own clock; empty where it cannot be told."""

    def __post_init__(self) -> None:
        _require_name(self.id)
        _require_texts(self.run, self.platform, self.accelerator, self.machine, self.process)
        _require_numbers(self.seq, self.pid, self.closed_seq)
        _require_word(self.resource, Resource)
        _require_word(self.state, SessionState)
        _require_moments(self.opened_at, self.beat_at, self.ended_at)
        _require_hours(self.seconds, self.entered_s)

    @property
    def end_at(self) -> datetime:
        """The end of the time held, by the clock of the opening and the seconds counted since."""
        return self.opened_at + timedelta(seconds=self.seconds)

    def is_over(self, now: datetime) -> bool:
        """Whether it was closed, or has been silent for longer than a living session is."""
        return self.state != "open" or now - self.beat_at > timedelta(seconds=STALE_S)

    def join(self, other: Session) -> Session:
        """What both know of one session."""
        known = max(self, other, key=lambda session: (session.seq, repr(session)))
        closed = [s for s in (self, other) if s.closed_seq is not None]
        # The first closing stands; a second one is a copy of it, or came from a clone of the disk.
        first = min(closed, key=_closing, default=known)
        named = [run for run in (known.run, self.run, other.run) if run != hidden(run)]
        return replace(
            known,
            run=named[0] if named else known.run,
            beat_at=max(self.beat_at, other.beat_at),
            seconds=max(self.seconds, other.seconds),
            state=first.state,
            ended_at=first.ended_at,
            closed_seq=first.closed_seq,
            split=first.split,
        )


def is_id(text: str) -> bool:
    """Whether `text` can be an id: it becomes a file's name, and may come from anywhere."""
    return _NAME.fullmatch(text) is not None


def hidden(run: str) -> str:
    """A name for a run by which only those who know the run know it."""
    if _HIDDEN.fullmatch(run):
        return run
    return f"run-{hashlib.sha256(f'agnews {run}'.encode()).hexdigest()[:16]}"


# A ledger may come from anywhere. What no machine can have written is refused before it is kept:
# a moment at the calendar's end is no reason for any command to fail from then on.


def _require_name(id_: str) -> None:
    if not isinstance(id_, str) or not is_id(id_):
        raise ValueError(f"{id_!r:.80} is no id of ours")


def _require_texts(*texts: str) -> None:
    for each in texts:
        if not isinstance(each, str) or len(each) > _MOST_TEXT or "\0" in each:
            raise ValueError(f"{each!r:.80} is no name")
        each.encode()  # half of a surrogate pair is no character


def _require_word(word: str, words: object) -> None:
    if word not in get_args(words):
        raise ValueError(f"{word!r:.80} is none of {', '.join(get_args(words))}")


def _require_numbers(*numbers: int | None) -> None:
    for each in numbers:
        is_number = isinstance(each, int) and not isinstance(each, bool)
        if each is not None and not (is_number and 0 <= each < 1 << 63):
            raise ValueError(f"{each!r:.80} is no number that is kept")


def _require_moments(*moments: datetime | None) -> None:
    for each in moments:
        if isinstance(each, datetime) and each.tzinfo is None:
            raise ValueError("times are UTC-aware here")
        if each is not None and not (isinstance(each, datetime) and EARLIEST <= each < LATEST):
            raise ValueError(f"{each!s:.80} is no time that a clock shows")


def _require_amounts(*amounts: float | None) -> None:
    for each in amounts:
        is_number = isinstance(each, int | float) and not isinstance(each, bool)
        if each is not None and not (is_number and -_MOST_S < each < _MOST_S):
            raise ValueError(f"{each!r:.80} is no amount of time")


def _require_hours(*seconds: float) -> None:
    _require_amounts(*seconds)
    for each in seconds:
        if not each >= 0:
            raise ValueError(f"{each!r:.80} is no time that a session can take")


def _closing(session: Session) -> tuple[Any, ...]:
    return session.closed_seq, session.ended_at, session.state, repr(session.split)


@dataclass(frozen=True, slots=True)
class Used:
    """Hours that agnews did not see, told by the user or another program."""

    id: str
    platform: str
    resource: Resource
    began_at: datetime
    seconds: float
    source: str

    def __post_init__(self) -> None:
        _require_name(self.id)
        _require_texts(self.platform, self.source)
        _require_word(self.resource, Resource)
        _require_moments(self.began_at)
        _require_hours(self.seconds)


@dataclass(frozen=True, slots=True)
class QuotaReading:
    """What somebody said at some moment about a quota; None is what was not said.

    `reserved_s` is held back by the platform for sessions that run, and is no part of `used_s`.
    """

    id: str
    platform: str
    resource: Resource
    at: datetime
    how: Literal["official", "reported"]
    source: str
    used_s: float | None = None
    reserved_s: float = 0.0
    allowed_s: float | None = None
    left_s: float | None = None
    returns_at: datetime | None = None

    def __post_init__(self) -> None:
        if self.id:  # one that is not kept has none
            _require_name(self.id)
        _require_texts(self.platform, self.source)
        _require_word(self.resource, Resource)
        _require_word(self.how, Literal["official", "reported"])
        _require_moments(self.at, self.returns_at)
        _require_amounts(self.used_s, self.reserved_s, self.allowed_s, self.left_s)


# ---- journals ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """One line of a journal."""

    stream: str
    """The session's id, or the id of the one thing that the journal tells."""
    seq: int
    kind: str
    at: datetime
    data: Mapping[str, Any]


Told = tuple[Run, Session]


def fold(entries: Iterable[JournalEntry]) -> Told | None:
    """The session that these entries tell of; None where they do not say whose it was."""
    told: Told | None = None
    for entry in sorted(entries, key=lambda entry: entry.seq):
        if entry.kind in ("opened", "whole"):
            found = _whole(entry)
            told = found if told is None else (told[0].join(found[0]), told[1].join(found[1]))
        elif told is not None:
            told = _after(told, entry)
    return told


def _after(told: Told, entry: JournalEntry) -> Told:
    run, session = told[0], replace(told[1], seq=max(told[1].seq, entry.seq))
    if entry.kind == "beat":
        session = held(session, entry.data["seconds"], entry.at)
    elif entry.kind == "closed":
        session = session.join(closed(session, entry))
    elif entry.kind == "run":
        run = run.join(replace(run, state=entry.data["state"], updated_at=entry.at))
    return run, session


def whole(run: Run, session: Session) -> dict[str, Any]:
    """The data of an entry that says all at once: the first of a journal, or one of a copy."""
    return {"run": _plain(run), "session": _plain(session)}


def hidden_entry(entry: JournalEntry) -> JournalEntry:
    """The entry, without its run's name and folder. Raises like `fold`."""
    if entry.kind not in ("opened", "whole"):
        return entry
    run, session = _whole(entry)
    return replace(entry, data=whole(run.hidden, replace(session, run=hidden(session.run))))


def held(session: Session, seconds: float, at: datetime) -> Session:
    """Still alive at `at`, after `seconds`; neither ever goes back."""
    return replace(session, seconds=max(session.seconds, seconds), beat_at=max(session.beat_at, at))


def closed(session: Session, entry: JournalEntry) -> Session:
    """Ended as `entry` says."""
    split = entry.data.get("split")
    session = held(session, entry.data["seconds"], entry.at)
    return replace(
        session,
        state=entry.data["state"],
        ended_at=entry.at,
        closed_seq=entry.seq,
        split=None if split is None else Split(**split),
    )


def _plain(fact: Run | Session) -> dict[str, Any]:
    return {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in asdict(fact).items()
    }


_TIMES = ("created_at", "updated_at", "opened_at", "beat_at", "ended_at")


def _timed(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: datetime.fromisoformat(value) if name in _TIMES and value is not None else value
        for name, value in facts.items()
    }


def _whole(entry: JournalEntry) -> Told:
    facts = _timed(entry.data["session"])
    split = facts.pop("split")
    session = Session(**facts, split=None if split is None else Split(**split))
    return Run(**_timed(entry.data["run"])), replace(session, seq=max(session.seq, entry.seq))
