"""What was run and where: the sessions of a run, and what was saved in them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from itertools import pairwise
from math import inf
from typing import Any

from agnews_cli.core.hours.session import Session
from agnews_cli.core.machine.finding import Finding
from agnews_cli.core.run.job import Event
from agnews_cli.core.text import strict_json
from agnews_cli.store.run.events import Events
from agnews_cli.store.run.runs import RunFolder
from agnews_cli.workflows.runs.history import sessions_of


@dataclass(frozen=True, slots=True)
class SessionLived:
    """`useful_s`: None where nobody counted it. `end`: as the ledger calls it, or *died* where the
    worker's last word is no end."""

    run: str
    began: str
    seconds: float
    platform: str
    accelerator: str
    end: str
    useful_s: float | None
    went_on_at: int | None
    """The step of the checkpoint that it went on from first; None: it began at none."""


@dataclass(frozen=True, slots=True)
class Saves:
    """Of all sessions. `pause_s`: how long training stood still for them."""

    checkpoints: int
    newest_bytes: int | None
    pause_s: float
    resumed: int
    """How often a fine-tuning went on from one."""


@dataclass(frozen=True, slots=True)
class LivedThrough:
    sessions: tuple[SessionLived, ...]
    saves: Saves

    @property
    def seconds(self) -> float:
        return sum(one.seconds for one in self.sessions)

    def as_json(self) -> dict[str, Any]:
        """The field `lived` of a report (docs/json.md)."""
        return {
            "sessions": [asdict(one) for one in self.sessions],
            "saves": asdict(self.saves),
            "seconds": self.seconds,
        }


def findings(folder: RunFolder) -> tuple[Finding, ...]:
    """What the guards of training said, each once, whatever sessions told it."""
    found: dict[str, Finding] = {}
    for event in Events(folder.events):
        if event.kind == "finding":
            check, level, text, mend = (
                str(event.data.get(name, "")) for name in ("check", "level", "text", "mend")
            )
            found.setdefault(
                text, Finding(check, "mend" if level == "mend" else "know", text, mend)
            )
    return tuple(found.values())


def lived(folders: Iterable[RunFolder]) -> LivedThrough:
    """Of a run, or of all that one is made of."""
    sessions: list[SessionLived] = []
    saves = [Saves(0, None, 0.0, 0)]
    for folder in folders:
        told = list(_by_session(Events(folder.events)))
        counted = sessions_of(folder.id)
        if len(counted) >= len(told):
            sessions += _of_ledger(folder.id, counted, told)
        else:  # it came from elsewhere
            sessions += (_of_events(folder.id, events) for events in told)
        saves += (_saves(events) for events in told)
    sizes = [one.newest_bytes for one in saves if one.newest_bytes is not None]
    whole = Saves(
        checkpoints=sum(one.checkpoints for one in saves),
        newest_bytes=sizes[-1] if sizes else None,
        pause_s=sum(one.pause_s for one in saves),
        resumed=sum(one.resumed for one in saves),
    )
    return LivedThrough(tuple(sorted(sessions, key=lambda one: one.began)), whole)


def _by_session(events: Iterable[Event]) -> Iterable[list[Event]]:
    """The events of each session's worker."""
    part: list[Event] = []
    for event in events:
        if event.kind == "started":
            if part:
                yield part
            part = [event]
        elif part:
            part.append(event)
    if part:
        yield part


def _of_ledger(
    run: str, counted: Iterable[Session], told: list[list[Event]]
) -> Iterator[SessionLived]:
    """Each with what its worker told. One that died was held at least until its last word, of which
    the ledger knows nothing where it died before it was counted again."""
    ordered = sorted(counted, key=lambda one: one.opened_at)
    begins = [*(one.opened_at.timestamp() - 1 for one in ordered), inf]
    for one, (begin, end) in zip(ordered, pairwise(begins), strict=True):
        mine = [each for part in told if begin <= _moment(part[0]) < end for each in part]
        spoke_s = _moment(mine[-1]) - one.opened_at.timestamp() if mine else 0.0
        yield _lived(run, one, mine, max(one.seconds, spoke_s if one.state == "died" else 0.0))


def _lived(run: str, one: Session, mine: list[Event], seconds: float) -> SessionLived:
    return SessionLived(
        run=run,
        began=one.opened_at.isoformat(timespec="seconds"),
        seconds=seconds,
        platform=one.platform,
        accelerator=one.accelerator,
        end=one.state,
        useful_s=None if one.split is None else one.split.useful_s,
        went_on_at=_went_on_at(mine),
    )


def _of_events(run: str, told: list[Event]) -> SessionLived:
    ended = next((event for event in reversed(told) if event.kind == "ended"), None)
    return SessionLived(
        run=run,
        began=told[0].at,
        seconds=max(0.0, told[-1].elapsed_s),
        platform="",
        accelerator="",
        end="died" if ended is None else str(ended.data.get("state", "")),
        useful_s=None,
        went_on_at=_went_on_at(told),
    )


def _moment(event: Event) -> float:
    try:
        return datetime.fromisoformat(event.at).timestamp()
    except (ValueError, OverflowError):
        return 0.0


def _went_on_at(told: Iterable[Event]) -> int | None:
    return next((strict_json.whole(e.data.get("step")) for e in told if e.kind == "resumed"), None)


def _saves(told: Iterable[Event]) -> Saves:
    saved, resumed = [], 0
    for event in told:
        if event.kind == "saved":
            saved.append(event.data)
        resumed += event.kind == "resumed"
    pauses = [strict_json.number(data.get("pause_s")) or 0.0 for data in saved]
    newest = strict_json.whole(saved[-1].get("bytes")) if saved else None
    return Saves(len(saved), newest, sum(pauses), resumed)
