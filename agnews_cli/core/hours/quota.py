"""How much of a platform's quota is left, and how we know: limits + usage + now → Budget.

Pure: the ledger's sessions, what others said (readings) and the limits come in. A *reading* is the
newest word of the platform or the user; what our sessions used since is taken off it. Without one,
the published limit and our own sessions give an estimate. Where nothing is published and nobody
said, what is left is unknown, which is not the same as nothing.

Hours are counted by machine: two runs at once on one machine cost its hours once, and the hours of
a machine count from the start of its own session, not of ours.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, get_args

from agnews_cli.core.hours.limits import Limit, PlatformLimits, Weekday, Window
from agnews_cli.core.hours.resource import Resource
from agnews_cli.core.hours.session import QuotaReading, Session, Used
from agnews_cli.core.text import duration

How = Literal["official", "reported", "estimated", "unknown"]
Confidence = Literal["high", "medium", "low", "none"]

WEEK = timedelta(days=7)
_FROM_THE_FUTURE = timedelta(hours=1)
"""A reading later than this was made by a clock that was wrong."""
_FRESH = timedelta(minutes=2)
"""A reading older than this says how old it is."""
_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
_END = datetime(9999, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Span:
    """Time that counts, from one moment to another."""

    start: datetime
    end: datetime

    def seconds_in(self, period: Span) -> float:
        overlap = min(self.end, period.end) - max(self.start, period.start)
        return max(0.0, overlap.total_seconds())


@dataclass(frozen=True, slots=True)
class Here:
    """The session that asks: how old it is, and where that is known from."""

    platform: str
    resource: Resource
    age_s: float
    source: str


@dataclass(frozen=True, slots=True)
class Budget:
    """One platform's one resource. None is what is not known."""

    platform: str
    title: str
    resource: Resource
    accelerator: str
    how: How
    """How `left_s` is known."""
    confidence: Confidence
    source: str
    allowed_s: float | None
    used_s: float
    running: int
    """Sessions of ours that run now; their time so far is part of `used_s`."""
    reserved_s: float
    """Held back by the platform for sessions that run."""
    reserve_s: float
    """Kept by the user, and not part of `left_s`."""
    left_s: float | None
    returns_at: datetime | None
    cap_s: float | None
    """The longest session."""
    age_s: float | None
    """Of this session, where it is on this platform and resource."""
    deadline_at: datetime | None
    notes: tuple[str, ...] = ()

    @property
    def is_here(self) -> bool:
        return self.age_s is not None


# ---- periods -------------------------------------------------------------------------------------


def period_at(window: Window, now: datetime) -> Span:
    """The period of the window that `now` lies in; a quota counts within it."""
    now = now.astimezone(UTC)
    if window.kind == "week":
        assert window.weekday is not None and window.time is not None  # the model sees to it
        hour, minute = map(int, window.time.split(":"))
        days = (now.weekday() - get_args(Weekday).index(window.weekday)) % 7
        start = (now - timedelta(days=days)).replace(
            hour=hour, minute=minute, second=0, microsecond=0
        )
        start -= WEEK if start > now else timedelta()
        return Span(start, start + WEEK)
    if window.kind == "month":
        start = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        return Span(start, (start + timedelta(days=32)).replace(day=1))
    if window.kind == "rolling":
        assert window.hours is not None  # the model sees to it
        return Span(now - timedelta(hours=window.hours), _END)
    return Span(_BEGINNING, _END)


def next_return(told: datetime, now: datetime, every: timedelta = WEEK) -> datetime:
    """The first return after `now`, where one was, or will be, at `told`: a stale time rolls on."""
    if told > now:
        return told
    return told + ((now - told) // every + 1) * every


# ---- usage ---------------------------------------------------------------------------------------


def spans(
    sessions: Iterable[Session],
    used: Iterable[Used],
    platform: str,
    resource: Resource,
    *,
    cap_s: float | None = None,
) -> tuple[Span, ...]:
    """The time that counts on one platform and resource: each machine's once.

    A machine's own session counts from its start, at most `cap_s` before ours began. Hours that
    were imported although the ledger has their session count once.
    """
    ours = [s for s in sessions if s.platform == platform and s.resource == resource]
    by_machine: dict[str, list[Span]] = {}
    for session in ours:
        before_s = min(session.entered_s, cap_s) if cap_s is not None else 0.0
        span = Span(session.opened_at - timedelta(seconds=before_s), session.end_at)
        by_machine.setdefault(session.machine, []).append(span)
    counted = [span for each in by_machine.values() for span in _united(each)]
    known = {session.id for session in ours}
    counted += [
        Span(u.began_at, u.began_at + timedelta(seconds=u.seconds))
        for u in used
        if (u.platform, u.resource) == (platform, resource) and u.id not in known
    ]
    return tuple(sorted(counted, key=lambda span: (span.start, span.end)))


def seconds_in(period: Span, counted: Iterable[Span]) -> float:
    return sum(span.seconds_in(period) for span in counted)


def _united(each: Iterable[Span]) -> list[Span]:
    united: list[Span] = []
    for span in sorted(each, key=lambda span: (span.start, span.end)):
        if united and span.start <= united[-1].end:
            united[-1] = Span(united[-1].start, max(united[-1].end, span.end))
        else:
            united.append(span)
    return united


# ---- the budget ----------------------------------------------------------------------------------


def budget(
    limits: PlatformLimits,
    resource: Resource,
    *,
    sessions: Sequence[Session],
    used: Sequence[Used],
    readings: Sequence[QuotaReading],
    now: datetime,
    reserve_s: float = 0.0,
    here: Here | None = None,
    notes: tuple[str, ...] = (),
) -> Budget:
    """What is left of `resource` on the platform that `limits` describe."""
    limit = limits.limit(resource) or Limit(accelerator="")
    cap_s = limit.session_hours.value * 3600 if limit.session_hours else None
    counted = spans(sessions, used, limits.platform, resource, cap_s=cap_s or 0.0)
    left = _from_reading(
        limit, _newest(limit, limits.platform, resource, readings, now), counted, now
    )
    left = left or _from_ledger(limit, counted, now)
    is_here = here is not None and (here.platform, here.resource) == (limits.platform, resource)
    age_s = here.age_s if here is not None and is_here else None
    if here is not None and is_here:
        notes = (*notes, f"session age: an estimate, from {here.source}")
    return Budget(
        platform=limits.platform,
        title=limits.title,
        resource=resource,
        accelerator=limit.accelerator,
        how=left.how,
        confidence=left.confidence,
        source=left.source,
        allowed_s=left.allowed_s,
        used_s=left.used_s,
        running=sum(
            (s.platform, s.resource) == (limits.platform, resource) and not s.is_over(now)
            for s in sessions
        ),
        reserved_s=left.reserved_s,
        reserve_s=reserve_s,
        left_s=None if left.left_s is None else max(0.0, left.left_s - reserve_s),
        returns_at=left.returns_at,
        cap_s=cap_s,
        age_s=age_s,
        deadline_at=None
        if cap_s is None or age_s is None
        else now + timedelta(seconds=max(0.0, cap_s - age_s)),
        notes=notes,
    )


@dataclass(frozen=True, slots=True)
class _Left:
    how: How
    confidence: Confidence
    source: str
    allowed_s: float | None
    used_s: float
    reserved_s: float
    left_s: float | None
    returns_at: datetime | None


def _newest(
    limit: Limit,
    platform: str,
    resource: Resource,
    readings: Iterable[QuotaReading],
    now: datetime,
) -> QuotaReading | None:
    """The newest reading that still holds: none is older than the last return of the quota."""
    mine = [
        r
        for r in readings
        if (r.platform, r.resource) == (platform, resource) and r.at <= now + _FROM_THE_FUTURE
    ]
    newest = max(mine, key=lambda reading: (reading.at, reading.id), default=None)
    if newest is None:
        return None
    returned = _returned_at(limit, newest)
    return newest if returned is None or returned > now else None


def _returned_at(limit: Limit, reading: QuotaReading) -> datetime | None:
    """When the quota that the reading speaks of returned, or will."""
    if reading.returns_at is not None:
        is_weekly = limit.window is not None and limit.window.kind == "week"
        # Kaggle has told a return that lay nine months back.
        return next_return(reading.returns_at, reading.at) if is_weekly else reading.returns_at
    if limit.window is None or limit.window.kind == "once":
        return None
    if limit.window.kind == "rolling":
        return reading.at + timedelta(hours=limit.window.hours or 0.0)
    return period_at(limit.window, reading.at).end


def _from_reading(
    limit: Limit, reading: QuotaReading | None, counted: Sequence[Span], now: datetime
) -> _Left | None:
    if reading is None:
        return None
    since_s = seconds_in(Span(reading.at, max(now, reading.at)), counted)
    quota_s = limit.quota_hours.value * 3600 if limit.quota_hours else None
    allowed_s = quota_s if reading.allowed_s is None else reading.allowed_s
    # What the platform holds back for running sessions is what they use next.
    reserved_s = max(0.0, reading.reserved_s - since_s)
    taken_s = max(reading.reserved_s, since_s)
    used_s, left_s = reading.used_s, reading.left_s
    if left_s is not None:
        used_s = (
            max(0.0, allowed_s - left_s) if used_s is None and allowed_s is not None else used_s
        )
        left_s = max(0.0, left_s - taken_s)
    elif used_s is not None and allowed_s is not None:
        left_s = max(0.0, allowed_s - used_s - taken_s)
    else:
        return None
    return _Left(
        how=reading.how,
        confidence="high" if reading.how == "official" else "medium",
        source=reading.source + _ago(now - reading.at),
        allowed_s=allowed_s,
        used_s=(used_s or 0.0) + since_s,
        reserved_s=reserved_s,
        left_s=left_s,
        returns_at=_returned_at(limit, reading),
    )


def _ago(age: timedelta) -> str:
    return f", {duration.show(age.total_seconds())} ago" if age > _FRESH else ""


def _from_ledger(limit: Limit, counted: Sequence[Span], now: datetime) -> _Left:
    window, quota = limit.window, limit.quota_hours
    if window is None or quota is None:
        used_s = seconds_in(Span(now - WEEK, _END), counted)
        source = "no quota is published; used: our sessions of the last 7 days"
        return _Left("unknown", "none", source, None, used_s, 0.0, None, None)
    period = period_at(window, now)
    used_s = seconds_in(period, counted)
    allowed_s = quota.value * 3600
    given = f"{quota.value:g} h" if quota.value >= 1 else hours(allowed_s)
    returns_at = None if period.end == _END else period.end
    inside = [span for span in counted if span.seconds_in(period)]
    if window.kind == "rolling" and window.hours is not None and inside:
        returns_at = max(inside[0].start, period.start) + timedelta(hours=window.hours)
    return _Left(
        how="estimated",
        # Use that agnews did not see makes it no better than this.
        confidence="low" if quota.confidence in ("low", "memory") else "medium",
        source=f"our sessions; {given} by {quota.source}, {quota.as_of}",
        allowed_s=allowed_s,
        used_s=used_s,
        reserved_s=0.0,
        left_s=max(0.0, allowed_s - used_s),
        returns_at=returns_at,
    )


# ---- what follows from it ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Fit:
    """Whether so many hours fit into what is left. None is what is not known."""

    fits: bool | None
    sessions: int | None
    """At least; of the longest that there may be."""
    done_at: datetime | None
    """At the earliest, begun now; None where they do not fit."""
    words: str


def fit(found: Budget, needs_s: float, now: datetime) -> Fit:
    """Of `needs_s` seconds: `9.4 h fit: 11.2 h left until Saturday 00:00 UTC (28 Nov); …`."""
    needs = hours(needs_s)
    sessions = math.ceil(needs_s / found.cap_s) if found.cap_s else None
    if found.left_s is None:
        return Fit(None, sessions, None, f"{needs} may fit or not: what is left is not known")
    until = f" until {moment(found.returns_at)}" if found.returns_at else ""
    left = f"{hours(found.left_s)} left{until}"
    if needs_s <= found.left_s:
        done_at = now + timedelta(seconds=needs_s)
        several = f" in {sessions} sessions" if sessions and sessions > 1 else ""
        words = f"{needs} fit: {left}; begun now, done by {moment(done_at)}{several}"
        return Fit(True, sessions, done_at, words)
    short_s = needs_s - found.left_s
    words = f"{needs} do not fit: {left}, {hours(short_s)} too little"
    if found.returns_at and found.allowed_s:
        times = math.ceil(short_s / found.allowed_s)
        rest = f"takes {times} such periods more" if times > 1 else "fits into the next period"
        words += f"; the rest {rest}"
    return Fit(False, sessions, None, words)


@dataclass(frozen=True, slots=True)
class Forecast:
    """When the quota runs out at the rate of the last weeks; None: not before it returns."""

    platform: str
    resource: Resource
    per_day_s: float
    days: float
    """What the rate was measured over."""
    runs_out_at: datetime | None
    why_not: str = ""
    """Where it does not run out, or nobody knows."""

    def as_json(self) -> dict[str, Any]:
        at = self.runs_out_at
        return asdict(self) | {"runs_out_at": None if at is None else at.isoformat()}


def forecast(found: Budget, counted: Sequence[Span], now: datetime, weeks: int = 4) -> Forecast:
    """At the mean rate since our first session, within the last `weeks`; a week at least."""
    period = Span(now - weeks * WEEK, now)
    first = min((max(s.start, period.start) for s in counted if s.seconds_in(period)), default=now)
    days = max(7.0, (now - first) / timedelta(days=1))
    per_day_s = seconds_in(period, counted) / days
    out: datetime | None = None
    why_not = "nothing was used"
    if found.left_s is None:
        why_not = "what is left is not known"
    elif per_day_s > 0:
        out = now + timedelta(days=min(found.left_s / per_day_s, 3650.0))
        if found.returns_at is not None and out >= found.returns_at:
            out, why_not = None, f"not before it returns, {moment(found.returns_at)}"
    return Forecast(found.platform, found.resource, per_day_s, days, out, "" if out else why_not)


def weeks_of(window: Window | None, now: datetime, count: int) -> tuple[Span, ...]:
    """The last `count` weeks by the window's boundary, or from Monday; the oldest first."""
    if window is None or window.kind != "week":
        midnight = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        start = midnight - timedelta(days=midnight.weekday())
    else:
        start = period_at(window, now).start
    return tuple(Span(start - n * WEEK, start - (n - 1) * WEEK) for n in range(count - 1, -1, -1))


def hours(seconds: float) -> str:
    """`11.2 h`; below an hour as people say it."""
    return duration.show(seconds) if 0 < seconds < 3600 else f"{seconds / 3600:.1f} h"


def moment(at: datetime) -> str:
    """`Saturday 00:00 UTC (28 Nov)`."""
    return f"{at.astimezone(UTC):%A %H:%M UTC (%d %b)}"
