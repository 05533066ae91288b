"""What an answer means, and when a session may begin: pure rules, case by case."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from agnews_cli.core.hours.quota import Budget
from agnews_cli.core.launching import names, rules
from agnews_cli.core.launching.answers import Begun, Looked
from agnews_cli.core.launching.record import LaunchedSession, LaunchRecord
from agnews_cli.core.launching.rules import Begin, End, Hold, Hours, Waits

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
HOUR = 3600.0
WAITS = Waits()


def session(number: int = 1, **more: object) -> LaunchedSession:
    facts = {"number": number, "name": f"agnews-x-s{number}", "most_s": HOUR, "tried_at": NOW}
    return LaunchedSession.model_validate(facts | more)


def launch(*sessions: LaunchedSession) -> LaunchRecord:
    return LaunchRecord(
        id="x", platform="kaggle", owner="me", accelerator="NvidiaTeslaT4", resource="gpu",
        words=(), store="/runs", sessions=sessions,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("looked", "state"),
    [
        (Looked("QUEUED"), "alive"),
        (Looked("running"), "alive"),
        (Looked("CANCEL_REQUESTED"), "alive"),
        (Looked("COMPLETE"), "ended"),
        (Looked("ERROR"), "failed"),
        (Looked("CANCEL_ACKNOWLEDGED"), "stopped"),
        (Looked("A_WORD_OF_NEXT_YEAR"), "unknown"),
        (Looked(code=404, is_listed=False), "missing"),
        (Looked(code=403, is_listed=False), "missing"),
        (Looked(code=403, is_listed=True), "unknown"),
        (Looked(code=403), "unknown"),
        (Looked(code=500, is_listed=False), "unknown"),
        (Looked(), "unknown"),
    ],
)
def test_what_an_answer_means(looked: Looked, state: str) -> None:
    assert looked.state == state


@pytest.mark.parametrize(
    ("begun", "verdict"),
    [
        (Begun(200), "begun"),
        (Begun(200, "Maximum batch GPU session count of 2 reached."), "later"),
        (Begun(200, "You have exceeded your weekly GPU quota."), "refused"),
        (Begun(400, "no"), "refused"),
        (Begun(401, "no"), "refused"),
        (Begun(409, "taken"), "refused"),
        (Begun(429, "slowly"), "later"),
        (Begun(500, "oh"), "unknown"),
        (Begun(None, "no answer within 180 s"), "unknown"),
    ],
)
def test_what_a_try_has_come_to(begun: Begun, verdict: str) -> None:
    assert begun.verdict == verdict


def test_names_are_what_kaggle_takes_and_the_same_for_the_same() -> None:
    one = names.launch_id("My Preset (v2)", {"seed": 1, "data": "x"})
    assert one == names.launch_id("My Preset (v2)", {"data": "x", "seed": 1})
    assert one != names.launch_id("My Preset (v2)", {"seed": 2, "data": "x"})
    longest = names.session_name(names.launch_id("A" * 200, {}), 99)
    assert len(longest) <= 50
    assert names.launch_id("ёж", {}).startswith("auto-")
    assert session(name=names.session_name(one, 3)).name.startswith("agnews-my-preset-v2-")


def test_hours_under_way_are_not_given_again() -> None:
    def left(reserved_s: float = 0.0, how: str = "official") -> float | None:
        budget = Budget(
            "kaggle", "Kaggle", "gpu", "T4", how, "high", "", 30 * HOUR, 0.0, 0, reserved_s, 0.0,
            10 * HOUR, None, None, None, None,
        )  # type: ignore[arg-type]  # fmt: skip
        return rules.free_s(budget, [session(most_s=4 * HOUR)])

    assert left() == 6 * HOUR
    assert left(reserved_s=3 * HOUR) == 9 * HOUR  # what is held back is part of what is booked
    assert left(how="estimated") is None


@pytest.mark.parametrize(
    ("free_s", "others", "asked_s", "found"),
    [
        (30 * HOUR, "", None, Begin(12 * HOUR)),
        (30 * HOUR, "a", 5 * HOUR, Begin(5 * HOUR)),
        (7 * HOUR, "", None, Begin(7 * HOUR)),
        (0.7 * HOUR, "", None, End),
        (0.7 * HOUR, "", 0.6 * HOUR, Begin(0.6 * HOUR)),
        (30 * HOUR, "a b", None, Hold),
        (None, "", None, Hold),
    ],
)
def test_when_a_session_may_begin(
    free_s: float | None, others: str, asked_s: float | None, found: object
) -> None:
    hours = Hours(free_s, 12 * HOUR)
    told = rules.may_begin(hours, others=others.split(), at_once=2, asked_s=asked_s)
    assert told == found or (isinstance(found, type) and isinstance(told, found))


def test_what_was_asked_to_begin_is_not_asked_again_before_it_would_have_shown() -> None:
    missing, tried = Looked(code=404, is_listed=False), session()
    soon, late = NOW + timedelta(seconds=599), NOW + timedelta(seconds=600)
    assert rules.may_try(None, missing, NOW, WAITS)
    assert not rules.may_try(None, Looked(code=500), NOW, WAITS)
    assert not rules.may_try(tried, missing, soon, WAITS)
    assert rules.may_try(tried, missing, late, WAITS)
    assert not rules.may_try(session(stage="alive"), missing, late, WAITS)


def test_what_was_there_is_gone_only_when_that_is_said_twice() -> None:
    missing = Looked(code=404, is_listed=False)
    once = rules.heard(session(stage="alive"), missing, NOW, WAITS)
    assert (once.stage, once.missing_since) == ("alive", NOW)
    back = rules.heard(once, Looked("RUNNING"), NOW + timedelta(seconds=60), WAITS)
    assert back.missing_since is None
    gone = rules.heard(once, missing, NOW + timedelta(seconds=600), WAITS)
    assert (gone.stage, gone.end) == ("over", "missing")
    assert rules.heard(once, Looked(code=500), NOW + timedelta(days=9), WAITS) == once


def test_what_follows_from_how_a_session_ended() -> None:
    def after(*sessions: LaunchedSession) -> object:
        return rules.after(launch(*sessions))

    paused = session(stage="home", end="paused", has=("run@m-1",))
    assert after() is None
    assert after(session()) is None
    assert after(paused) is None
    assert after(session(stage="home", end="finished")) == End("done")
    dead = session(2, stage="home", end="failed", has=("run@m-2",))
    assert after(paused, dead) is None
    same = dead.changed(has=("run@m-1",), message="why")
    assert after(paused, same) == End("failed", "why")
    assert after(paused, same.changed(is_told=True)) is None
    idle = session(2, stage="home", end="paused", has=("run@m-1",))
    assert isinstance(after(paused, idle), End)


def test_a_session_pauses_before_the_platform_ends_it() -> None:
    for most_s in (600.0, 1800.0, 2700.0, 12 * HOUR):
        assert 0 < rules.training_s(most_s) < most_s
    assert rules.training_s(12 * HOUR) == 11.75 * HOUR
