"""When a session may begin, when it is looked at again, and when a launch stops.

Pure: the record, what was heard and the hours come in. Nothing begins while anything is unknown:
the state of the session before, how many others run, or how many hours are left.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from agnews_cli.core.hours.quota import Budget, hours, moment
from agnews_cli.core.launching.answers import Looked
from agnews_cli.core.launching.record import LaunchedSession, LaunchRecord

LEAST_S = 1800.0
"""A shorter session is spent on starting."""
MARGIN_S = 900.0
"""Of a session's hours: installing before training, and sending what is saved after it."""


@dataclass(frozen=True, slots=True)
class Waits:
    """Times between looks, and how long is waited for an answer."""

    look_s: float = 60.0
    settle_s: float = 600.0
    """How long a try to begin may take to show: until then, what is missing may still come. The
    call itself may take three minutes."""
    patience_s: float = 3600.0
    """How long nothing is heard until the command gives up; sessions are left as they are."""


@dataclass(frozen=True, slots=True)
class Hours:
    """What may be used of the quota. None: not known, or where `is_counted` is False, no matter."""

    free_s: float | None
    """Above the reserve, after all that sessions under way may still use."""
    cap_s: float
    """The longest session."""
    is_counted: bool = True
    returns_at: datetime | None = None
    reserve_s: float = 0.0
    why_unknown: str = ""


@dataclass(frozen=True, slots=True)
class Begin:
    """A next session may begin, and lasts so long at most."""

    most_s: float


@dataclass(frozen=True, slots=True)
class Hold:
    """Not now: look again later."""

    why: str


@dataclass(frozen=True, slots=True)
class End:
    """No more sessions by this command."""

    kind: Literal["done", "failed", "stopped", "missing", "spent"]
    why: str = ""


def free_s(budget: Budget, under_way: Sequence[LaunchedSession]) -> float | None:
    """Seconds above the reserve that no session under way may use; None: not known.

    Whether the platform's figure has the hours of running sessions already is not documented, so
    each counts whole. What it holds back for them itself is part of that.
    """
    if budget.left_s is None or budget.how != "official":
        return None
    booked_s = sum(each.most_s for each in under_way)
    return max(0.0, budget.left_s + budget.reserved_s - max(budget.reserved_s, booked_s))


def may_begin(
    hours_: Hours, *, others: Sequence[str], at_once: int, asked_s: float | None
) -> Begin | Hold | End:
    """Whether a session may begin, where none of its launch is on the platform.

    `others`: the names of other launches' sessions that are not known to be over; `asked_s`: the
    longest session that the user wants.
    """
    if len(others) >= at_once:
        named = ", ".join(others)
        return Hold(
            f"{at_once} sessions may run at once, and others are not known to be over: {named}"
        )
    longest_s = min(hours_.cap_s, asked_s or hours_.cap_s)
    if not hours_.is_counted:
        return Begin(longest_s)
    if hours_.free_s is None:
        return Hold(f"how many hours are left is not known: {hours_.why_unknown}")
    if hours_.free_s < min(longest_s, LEAST_S + MARGIN_S):
        back = f"; they return {moment(hours_.returns_at)}" if hours_.returns_at else ""
        kept = f" above the {hours(hours_.reserve_s)} kept back" if hours_.reserve_s else ""
        return End("spent", f"{hours(hours_.free_s)} are left{kept}{back}")
    return Begin(min(longest_s, hours_.free_s))


def after(launch: LaunchRecord) -> End | None:
    """What follows from how the last session ended; None: a next one may come."""
    last = launch.newest
    if last is None or last.stage != "home":
        return None
    if last.end == "finished":
        return End("done")
    if last.is_told:
        return None
    is_news = launch.is_news(last)
    if last.end == "paused":
        no_news = "it paused in time, and had saved nothing new by then"
        return None if is_news else End("failed", no_news)
    if last.end == "failed" and is_news:
        return None  # it died on the way, and what it had saved is more than there was
    return End(last.end, last.message) if last.end else None


def training_s(most_s: float) -> float:
    """What `agnews auto` is told: it pauses before the platform ends the session."""
    return max(60.0, most_s - MARGIN_S) if most_s > 2 * MARGIN_S else most_s / 2


def heard(session: LaunchedSession, looked: Looked, now: datetime, waits: Waits) -> LaunchedSession:
    """The session after a look. What is unknown changes nothing."""
    url = looked.url or session.url
    match looked.state:
        case "unknown":
            return session
        case "alive":
            if looked.is_running:
                seen: dict[str, object] = {"runs_since": session.runs_since or now}
            else:
                seen = {"waited_until": now}
            return session.changed(stage="alive", missing_since=None, url=url, **seen)
        case "missing":
            since = session.missing_since or now
            is_gone = session.stage == "alive" and now - since >= timedelta(seconds=waits.settle_s)
            gone = {"stage": "over", "end": "missing", "ended_at": now} if is_gone else {}
            return session.changed(missing_since=since, **gone)
        case state:
            end = {"failed": "failed", "stopped": "stopped"}.get(state, "paused")
            message = looked.message or session.message
            return session.changed(
                stage="over", end=end, ended_at=now, message=message, url=url, missing_since=None
            )


def over_and_missing(session: LaunchedSession, now: datetime, waits: Waits) -> LaunchedSession:
    """A session that has ended and is missing since: gone, with its output, when that is sure."""
    since = session.missing_since or now
    is_gone = now - since >= timedelta(seconds=waits.settle_s)
    return session.changed(missing_since=since, end="missing" if is_gone else session.end)


def may_try(session: LaunchedSession | None, looked: Looked, now: datetime, waits: Waits) -> bool:
    """Whether a session may be asked to begin: it is known not to be there, and what an earlier try
    may have begun (`session`; None: there was none) would have shown by now."""
    if looked.state != "missing":
        return False
    if session is None:
        return True
    return session.stage == "tried" and now - session.tried_at >= timedelta(seconds=waits.settle_s)


def is_over(session: LaunchedSession, looked: Looked, now: datetime, waits: Waits) -> bool:
    """Whether another launch's session has no machine any more, as far as one look can tell."""
    if looked.state == "missing":
        return now - session.tried_at >= timedelta(seconds=waits.settle_s)
    return looked.state in ("ended", "failed", "stopped")


def is_overdue(session: LaunchedSession, now: datetime) -> bool:
    """Whether it runs on though its time is up. What waits for a machine costs nothing."""
    if session.stage != "alive" or session.runs_since is None:
        return False
    return (now - session.runs_since).total_seconds() > session.most_s + MARGIN_S
