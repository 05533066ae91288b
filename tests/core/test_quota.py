"""Quota arithmetic: hours are never lost, never counted twice, and unknown is not exhausted."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agnews_cli.core.hours import quota
from agnews_cli.core.hours.limits import Figure, Limit, PlatformLimits, Window
from agnews_cli.core.hours.quota import Budget, Here, Span, budget, next_return, period_at, spans
from agnews_cli.core.hours.session import QuotaReading, Session, Used

H = 3600.0
NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)  # a Wednesday
SATURDAY = datetime(2026, 11, 28, tzinfo=UTC)
SOURCE: dict[str, Any] = {"source": "here", "as_of": "2026-11-01", "confidence": "high"}
WEEKLY = Window(kind="week", weekday="saturday", time="00:00", **SOURCE)
GPU = Limit(
    accelerator="T4 x2",
    session_hours=Figure(value=12, **SOURCE),
    quota_hours=Figure(value=30, **SOURCE),
    window=WEEKLY,
)
KAGGLE = PlatformLimits(platform="kaggle", title="Kaggle", resources={"gpu": GPU})
COLAB = PlatformLimits(platform="colab", title="Colab", resources={"gpu": Limit(accelerator="T4")})


def moments(first: tuple[int, int, int], last: tuple[int, int, int]) -> Any:
    naive = [datetime(*day) for day in (first, last)]  # noqa: DTZ001
    return st.datetimes(*naive, timezones=st.just(UTC))


def session(opened: datetime, hours: float, machine: str = "m", **more: Any) -> Session:
    facts: dict[str, Any] = {
        "id": f"s-{opened:%d%H%M}-{machine}-{hours}",
        "seq": 3,
        "run": "r",
        "platform": "kaggle",
        "accelerator": "T4",
        "resource": "gpu",
        "machine": machine,
        "pid": 1,
        "entered_s": 0.0,
        "opened_at": opened,
        "beat_at": opened + timedelta(hours=hours),
        "seconds": hours * H,
        "state": "finished",
        "ended_at": opened + timedelta(hours=hours),
        "closed_seq": 3,
    }
    return Session(**facts | more)


def look(
    limits: PlatformLimits = KAGGLE,
    sessions: list[Session] | None = None,
    readings: list[QuotaReading] | None = None,
    used: list[Used] | None = None,
    now: datetime = NOW,
    **more: Any,
) -> Budget:
    return budget(
        limits, "gpu", sessions=sessions or [], used=used or [], readings=readings or [], now=now,
        **more,
    )  # fmt: skip


def reading(at: datetime = NOW, **more: Any) -> QuotaReading:
    facts: dict[str, Any] = {
        "id": "r", "platform": "kaggle", "resource": "gpu", "at": at, "how": "official",
        "source": "Kaggle's API",
    }  # fmt: skip
    return QuotaReading(**facts | more)


# ---- periods


def test_a_week_begins_on_saturday_at_midnight_utc() -> None:
    assert period_at(WEEKLY, NOW) == Span(SATURDAY - quota.WEEK, SATURDAY)
    assert period_at(WEEKLY, SATURDAY).start == SATURDAY
    assert period_at(WEEKLY, SATURDAY - timedelta(microseconds=1)).end == SATURDAY


@given(moments((2000, 1, 1), (2100, 1, 1)))
def test_every_moment_lies_in_one_period(now: datetime) -> None:
    for window in (
        WEEKLY,
        replace_time(WEEKLY, "13:37"),
        Window(kind="month", **SOURCE),
        Window(kind="rolling", hours=24, **SOURCE),
        Window(kind="once", **SOURCE),
    ):
        period = period_at(window, now)
        assert period.start <= now < period.end
        if window.kind in ("week", "month"):
            assert period_at(window, period.end).start == period.end


def replace_time(window: Window, time: str) -> Window:
    return window.model_copy(update={"time": time})


def test_a_stale_return_rolls_forward_by_weeks() -> None:
    stale = datetime(2026, 1, 10, tzinfo=UTC)
    assert next_return(stale, NOW) == SATURDAY
    assert next_return(SATURDAY, NOW) == SATURDAY
    assert next_return(SATURDAY, SATURDAY) == SATURDAY + quota.WEEK


# ---- how it is known


def test_the_ledger_alone_gives_an_estimate() -> None:
    found = look(sessions=[session(NOW - timedelta(hours=20), 8)])
    assert (found.how, found.used_s, found.left_s) == ("estimated", 8 * H, 22 * H)
    assert found.returns_at == SATURDAY
    assert "30 h by here, 2026-11-01" in found.source


def test_unknown_is_not_exhausted() -> None:
    found = look(COLAB, [session(NOW - timedelta(hours=20), 8, platform="colab")])
    assert (found.how, found.left_s, found.allowed_s) == ("unknown", None, None)
    assert found.used_s == 8 * H


def test_reserved_time_is_not_left() -> None:
    told = reading(used_s=18349.0, allowed_s=108000.0, reserved_s=7200.0)
    found = look(readings=[told])
    assert (found.how, found.left_s) == ("official", 108000 - 18349 - 7200)
    assert found.reserved_s == 7200
    more = look(readings=[reading(used_s=108000.0, allowed_s=108000.0, reserved_s=9.0)])
    assert more.left_s == 0


def test_an_official_answer_with_a_stale_return() -> None:
    stale = datetime(2026, 1, 10, tzinfo=UTC)
    found = look(readings=[reading(used_s=H, allowed_s=30 * H, returns_at=stale)])
    assert found.returns_at == SATURDAY
    # the week is over: the answer holds no more
    later = look(
        readings=[reading(used_s=H, allowed_s=30 * H, returns_at=stale)],
        now=SATURDAY + timedelta(hours=1),
    )
    assert (later.how, later.left_s) == ("estimated", 30 * H)


def test_what_was_used_after_a_reading_is_taken_off_once() -> None:
    at = NOW - timedelta(hours=5)
    told = reading(at, used_s=10 * H, allowed_s=30 * H, reserved_s=2 * H)
    ours = session(at - timedelta(hours=3), 6)  # three hours before the reading, three after
    found = look(sessions=[ours], readings=[told])
    assert found.left_s == 30 * H - 10 * H - 3 * H  # the two reserved were among the three
    assert (found.used_s, found.reserved_s) == (13 * H, 0)
    assert "5 h ago" in found.source


def test_the_newest_word_counts_and_a_wrong_clock_does_not() -> None:
    told = [
        reading(NOW - timedelta(hours=2), left_s=3 * H, how="reported"),
        reading(NOW - timedelta(hours=1), left_s=2 * H, how="reported"),
        reading(NOW + timedelta(days=400), left_s=99 * H, how="reported"),
        reading(NOW, left_s=1 * H, platform="colab"),
    ]
    assert look(readings=told).left_s == 2 * H
    assert look(readings=told).how == "reported"
    assert look(readings=told[::-1]).left_s == 2 * H


def test_a_reported_return_ends_what_was_reported() -> None:
    told = reading(
        NOW - timedelta(hours=9), platform="colab", how="reported", left_s=H,
        returns_at=NOW - timedelta(hours=1),
    )  # fmt: skip
    assert look(COLAB, readings=[told]).how == "unknown"


def test_a_reserve_is_kept() -> None:
    found = look(reserve_s=5 * H)
    assert (found.left_s, found.reserve_s) == (25 * H, 5 * H)
    assert look(reserve_s=99 * H).left_s == 0


def test_this_sessions_age_and_deadline() -> None:
    found = look(here=Here("kaggle", "gpu", 2 * H, "process 1's start"))
    assert (found.age_s, found.deadline_at) == (2 * H, NOW + timedelta(hours=10))
    assert any("process 1's start" in note for note in found.notes)
    assert look(here=Here("kaggle", "tpu", 2 * H, "x")).deadline_at is None
    assert look(here=Here("kaggle", "gpu", 20 * H, "x")).deadline_at == NOW


def test_running_sessions_are_said() -> None:
    beat = {"state": "open", "ended_at": None, "closed_seq": None}
    alive = session(NOW - timedelta(hours=2), 2, **beat)
    silent = session(NOW - timedelta(hours=4), 1, "other", **beat)
    found = look(sessions=[alive, silent])
    assert (found.running, found.used_s) == (1, 3 * H)


# ---- what counts


def test_two_runs_on_one_machine_cost_its_hours_once() -> None:
    start = NOW - timedelta(hours=10)
    both = [session(start, 4), session(start + timedelta(hours=1), 4)]
    assert look(sessions=both).used_s == 5 * H
    apart = [session(start, 4), session(start + timedelta(hours=1), 4, "other")]
    assert look(sessions=apart).used_s == 8 * H


def test_a_machine_counts_from_its_own_start() -> None:
    late = session(NOW - timedelta(hours=5), 2, entered_s=H)
    again = session(NOW - timedelta(hours=2), 1, entered_s=4 * H)
    assert look(sessions=[late]).used_s == 3 * H
    assert look(sessions=[late, again]).used_s == 5 * H  # with the hour between them
    host = session(NOW - timedelta(hours=1), 1, entered_s=900 * H)
    assert look(sessions=[host]).used_s == 13 * H  # an uptime that cannot be the session's


def test_an_imported_session_counts_once() -> None:
    ours = session(NOW - timedelta(hours=5), 2)
    same = Used(ours.id, "kaggle", "gpu", ours.opened_at, 2 * H, "imported")
    assert look(sessions=[ours], used=[same]).used_s == 2 * H
    assert look(used=[same]).used_s == 2 * H


def test_a_session_across_the_weeks_end_is_split() -> None:
    over = session(SATURDAY - timedelta(hours=5), 8)
    before = look(sessions=[over], now=SATURDAY - timedelta(seconds=1))
    after = look(sessions=[over], now=SATURDAY + timedelta(hours=4))
    assert (before.used_s, after.used_s) == (5 * H, 3 * H)


SESSIONS = st.lists(
    st.builds(
        session,
        moments((2026, 11, 1), (2026, 12, 20)),
        st.floats(0, 200),
        st.sampled_from(["a", "b"]),
    ),
    max_size=12,
)


@given(SESSIONS, st.randoms())
def test_the_weeks_hold_every_hour_once(sessions: list[Session], random: Any) -> None:
    counted = spans(sessions, [], "kaggle", "gpu", cap_s=0.0)
    whole_s = sum((s.end - s.start).total_seconds() for s in counted)
    start, by_week_s = period_at(WEEKLY, datetime(2026, 10, 1, tzinfo=UTC)).start, 0.0
    for week in range(40):
        by_week_s += quota.seconds_in(
            Span(start + week * quota.WEEK, start + (week + 1) * quota.WEEK), counted
        )
    assert by_week_s == pytest.approx(whole_s, abs=1e-3)
    for machine in ("a", "b"):  # no instant of a machine twice
        mine = spans([s for s in sessions if s.machine == machine], [], "kaggle", "gpu", cap_s=0.0)
        assert all(a.end <= b.start for a, b in itertools.pairwise(mine))
    assert whole_s <= sum(s.seconds for s in sessions) + 1e-3
    random.shuffle(sessions)
    assert spans(sessions, [], "kaggle", "gpu", cap_s=0.0) == counted


@given(
    SESSIONS,
    st.lists(
        st.builds(
            reading,
            moments((2026, 11, 1), (2026, 12, 20)),
            used_s=st.one_of(st.none(), st.floats(0, 1e6)),
            left_s=st.one_of(st.none(), st.floats(0, 1e6)),
            reserved_s=st.floats(0, 1e5),
        ),
        max_size=4,
    ),
    moments((1990, 1, 1), (2090, 1, 1)),
)
def test_whatever_the_clock_says_nothing_is_negative(
    sessions: list[Session], readings: list[QuotaReading], now: datetime
) -> None:
    found = look(sessions=sessions, readings=readings, now=now)
    assert found.used_s >= 0
    assert found.left_s is not None and found.left_s >= 0
    assert found.reserved_s >= 0
    assert found.returns_at is not None and found.returns_at > now


# ---- what follows


def test_whether_hours_fit_by_when_and_in_how_many_sessions() -> None:
    found = look(sessions=[session(NOW - timedelta(hours=20), 18.8)])
    fits = quota.fit(found, 9.4 * H, NOW)
    assert fits.words.startswith("9.4 h fit: 11.2 h left until Saturday 00:00 UTC (28 Nov); begun")
    assert (fits.fits, fits.done_at) == (True, NOW + timedelta(hours=9.4))
    assert fits.sessions == math.ceil(9.4 * H / (found.cap_s or 0))
    short = quota.fit(found, 12 * H, NOW)
    assert (short.fits, short.done_at) == (False, None)
    assert "48 min too little; the rest fits into the next period" in short.words
    assert "the rest takes 3 such periods more" in quota.fit(found, 80 * H, NOW).words
    unknown = quota.fit(look(COLAB), H, NOW)
    assert unknown.fits is None and "may fit or not" in unknown.words


def test_the_forecast() -> None:
    each_day = [session(NOW - timedelta(days=d, hours=6), 6, f"m{d}") for d in range(4)]
    counted = spans(each_day, [], "kaggle", "gpu")
    found = quota.forecast(look(sessions=each_day), counted, NOW)
    assert found.per_day_s == pytest.approx(24 / 7 * H)
    assert found.runs_out_at == NOW + timedelta(days=6 / (24 / 7))
    none = quota.forecast(look(), (), NOW)
    assert (none.runs_out_at, none.why_not) == (None, "nothing was used")
    rare = [session(NOW - timedelta(days=1), 1)]
    slow = quota.forecast(look(sessions=rare), spans(rare, [], "kaggle", "gpu"), NOW)
    assert slow.why_not.startswith("not before it returns")
    assert replace(slow, why_not="").runs_out_at is None


def test_rolling_hours_come_back_one_by_one() -> None:
    window = Window(kind="rolling", hours=24, **SOURCE)
    limit = Limit(accelerator="T4", quota_hours=Figure(value=4, **SOURCE), window=window)
    lab = PlatformLimits(platform="kaggle", title="Lab", resources={"gpu": limit})
    used = [session(NOW - timedelta(hours=25), 2), session(NOW - timedelta(hours=3), 1)]
    found = look(lab, used)
    assert (found.used_s, found.left_s) == (2 * H, 2 * H)
    assert found.returns_at == NOW  # the first of them is coming back now


def test_a_tier_changes_what_differs() -> None:
    both = COLAB.model_copy(
        update={"tier": "pro", "tiers": {"pro": {"gpu": GPU}}},
    )
    assert both.limit("gpu") is GPU
    assert COLAB.limit("gpu") is not GPU
    assert COLAB.limit("tpu") is None
