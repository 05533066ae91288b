"""Where a session's time went, from the worker's events: five parts that add up to the whole.

- *starting*: until there is something to train on: imports, tokenising, loading the model;
- *useful*: training, validating and predicting that the run keeps;
- *redone*: training that an earlier session had done and could not keep;
- *stalled*: standing still for a checkpoint;
- *idle*: the machine was held and nothing of ours ran: after the worker's last word.

Every instant of the session belongs to one part, so the sum is the whole by construction. Times
come from the worker's monotonic clock; only its start is placed by the wall clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from agnews_cli.core.hours.session import Split
from agnews_cli.core.text import strict_json

_STARTING = ("tokenising", "loading")
"""Phases that only prepare, by the beginning of their name."""
_MOST_S = 100 * 365 * 86400.0
_KINDS = frozenset(
    {"started", "phase", "progress", "validated", "candidate", "saved", "resumed", "ended"}
)


class ToldEvent(Protocol):
    """What is asked of an event (`core.run.job.Event`)."""

    @property
    def kind(self) -> str: ...
    @property
    def at(self) -> str: ...
    @property
    def elapsed_s(self) -> float: ...
    @property
    def data(self) -> Mapping[str, Any]: ...


@dataclass(frozen=True, slots=True)
class Moment:
    """One of the worker's events: what, at which second of the session, and its data."""

    kind: str
    at_s: float
    data: Mapping[str, Any]


@dataclass(slots=True)
class _Before:
    """What earlier sessions of the run had reached."""

    steps: dict[str, int]
    finished: set[str]


def account(events: Iterable[ToldEvent], opened_at: datetime, whole_s: float) -> Split:
    """The split of a session of `whole_s` seconds, from the events of its run.

    They are of all sessions of the run, one after the other; this one's begin with the first
    `started` that is not older than the session.
    """
    sessions = _by_session(_moments(events))
    mine, before = [], _Before({}, set())
    for told in sessions:
        start_s = (told[0][0] - opened_at).total_seconds()
        if start_s >= -1.0:  # the clock's resolution, and the time between two calls
            first_s = told[0][1].at_s
            mine = [
                Moment(e.kind, _within(start_s + e.at_s - first_s, whole_s), e.data)
                for _, e in told
            ]
            break
        _learn(before, [event for _, event in told])
    return _split(mine, before, whole_s)


def _split(moments: Sequence[Moment], before: _Before, whole_s: float) -> Split:
    parts = dict.fromkeys(("useful", "redone", "stalled", "starting", "idle"), 0.0)
    part, at_s, stalled_s = "starting", 0.0, 0.0
    step, steps_to = 0, dict(before.steps)
    pending: list[tuple[str, float]] = []  # pieces of the phase, until it is known what they were

    def flush(redone: bool = False) -> None:
        for name, seconds in pending:
            parts["redone" if redone and name == "useful" else name] += seconds
        pending.clear()

    for moment in moments:
        passed_s = max(0.0, moment.at_s - at_s)
        at_s += passed_s
        if moment.kind == "progress":
            known, here = steps_to.get(_name(moment, "candidate"), 0), _step(moment)
            share = _share(step, here, known) if part == "useful" else 0.0
            pending += [("redone", passed_s * share), (part, passed_s * (1 - share))]
            step = here
            continue
        pending.append((part, passed_s))
        if moment.kind == "phase":
            flush()
            prepares = str(moment.data.get("name", "")).startswith(_STARTING)
            part, step = ("starting" if prepares else "useful"), 0
        elif moment.kind == "resumed":
            step = _step(moment)
        elif moment.kind == "candidate":
            flush(redone=_name(moment, "name") in before.finished)
        elif moment.kind == "saved":
            stalled_s += _pause_s(moment)
        elif moment.kind == "ended":
            part = "idle"
    flush()
    # A worker that was killed was at work until then.
    parts[part] += max(0.0, whole_s - at_s)
    # Where in the phase a pause lay is not told: it is taken from the training around it.
    for source in ("useful", "redone"):
        taken_s = min(parts[source], stalled_s)
        parts[source] -= taken_s
        parts["stalled"] += taken_s
        stalled_s -= taken_s
    return Split(**{f"{name}_s": seconds for name, seconds in parts.items()})


def _share(since: int, until: int, known: int) -> float:
    """The share of the steps from `since` to `until` that had been reached before."""
    if until <= since:
        return 0.0
    return min(1.0, max(0.0, (min(known, until) - since) / (until - since)))


def _pause_s(moment: Moment) -> float:
    """How long training stood still for a save; one that waits for its end stands still for all."""
    pause_s = moment.data.get("pause_s")
    if pause_s is None and moment.data.get("why") == "final":
        pause_s = moment.data.get("seconds")
    if isinstance(pause_s, int | float) and 0 <= pause_s < _MOST_S:
        return float(pause_s)
    return 0.0


def _learn(before: _Before, events: Iterable[Moment]) -> None:
    for event in events:
        if event.kind == "progress":
            name = _name(event, "candidate")
            before.steps[name] = max(before.steps.get(name, 0), _step(event))
        elif event.kind == "candidate":
            before.finished.add(_name(event, "name"))


def _by_session(
    events: Iterable[tuple[datetime, Moment]],
) -> list[list[tuple[datetime, Moment]]]:
    sessions: list[list[tuple[datetime, Moment]]] = []
    for at, event in events:
        if event.kind == "started" or not sessions:
            sessions.append([])
        sessions[-1].append((at, event))
    return sessions


def _moments(events: Iterable[ToldEvent]) -> Iterator[tuple[datetime, Moment]]:
    for event in events:
        try:
            at = datetime.fromisoformat(event.at)
        except ValueError:
            continue
        if event.kind in _KINDS and abs(event.elapsed_s) < _MOST_S and at.tzinfo is not None:
            yield at, Moment(event.kind, event.elapsed_s, event.data)


def _within(at_s: float, whole_s: float) -> float:
    return min(max(at_s, 0.0), whole_s)


def _name(moment: Moment, key: str) -> str:
    return str(moment.data.get(key, ""))


def _step(moment: Moment) -> int:
    return strict_json.whole(moment.data.get("step")) or 0
