"""A session as its journal tells it: one life of one machine, and the time it held it.

A session's journal is a list of entries that one machine wrote, numbered from 1. `fold` reads them
in any order, whole or with gaps; `join` puts together what two copies know. Both take the most that
anybody knows (the longest time, the latest beat, the first closing), so `join` does not care about
order or repetition, and two machines that exchange their journals come to one truth.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal

RunState = Literal["pending", "running", "paused", "completed", "failed", "interrupted"]
SessionState = Literal["open", "finished", "deadline", "interrupted", "error", "user", "died"]
SessionEnd = Literal["finished", "deadline", "interrupted", "error", "user", "died"]
Resource = Literal["gpu", "tpu", "cpu"]
"""What a platform counts hours of."""

RESOURCES: Mapping[str, Resource] = {"cuda": "gpu", "mps": "gpu", "tpu": "tpu", "cpu": "cpu"}
"""What hours on an accelerator of a kind count as."""

_NAME = re.compile(r"[0-9A-Za-z][0-9A-Za-z.+-]{0,99}")
_MOST_S = 100 * 365 * 86400.0  # a machine's uptime may be years

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

    def join(self, other: Run) -> Run:
        """Where both were changed at one moment, the greater text: any rule, but one rule."""
        newest = max(self, other, key=lambda run: (run.updated_at, run.state, repr(run)))
        return replace(newest, created_at=min(self.created_at, other.created_at))


@dataclass(frozen=True, slots=True)
class Split:
    """Where a session's time went; the parts add up to the whole (see `core.accounting`)."""

    useful_s: float = 0.0
    redone_s: float = 0.0
    stalled_s: float = 0.0
    starting_s: float = 0.0
    idle_s: float = 0.0

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
        return replace(
            known,
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


def _require_name(id_: str) -> None:
    if not is_id(id_):
        raise ValueError(f"{id_!r} is no id of ours")


def _require_hours(*seconds: float) -> None:
    """A ledger may come from anywhere: what no machine can have held is refused."""
    for each in seconds:
        if not 0 <= each < _MOST_S:
            raise ValueError(f"{each!r} is no time that a session can take")


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
        _require_hours(self.seconds)


@dataclass(frozen=True, slots=True)
class Reading:
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


# ---- journals ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a journal."""

    stream: str
    """The session's id, or the id of the one thing that the journal tells."""
    seq: int
    kind: str
    at: datetime
    data: Mapping[str, Any]


Told = tuple[Run, Session]


def fold(entries: Iterable[Entry]) -> Told | None:
    """The session that these entries tell of; None where they do not say whose it was."""
    told: Told | None = None
    for entry in sorted(entries, key=lambda entry: entry.seq):
        if entry.kind in ("opened", "whole"):
            found = _whole(entry)
            told = found if told is None else (told[0].join(found[0]), told[1].join(found[1]))
        elif told is not None:
            told = _after(told, entry)
    return told


def _after(told: Told, entry: Entry) -> Told:
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


def held(session: Session, seconds: float, at: datetime) -> Session:
    """Still alive at `at`, after `seconds`; neither ever goes back."""
    return replace(session, seconds=max(session.seconds, seconds), beat_at=max(session.beat_at, at))


def closed(session: Session, entry: Entry) -> Session:
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


def _whole(entry: Entry) -> Told:
    facts = _timed(entry.data["session"])
    split = facts.pop("split")
    session = Session(**facts, split=None if split is None else Split(**split))
    return Run(**_timed(entry.data["run"])), replace(session, seq=max(session.seq, entry.seq))
