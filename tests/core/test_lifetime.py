"""Lifetimes learned from sessions of which many did not die."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pytest

from agnews_cli.core.hours.lifetime import Life, lives, mean_s
from agnews_cli.core.hours.session import Session

H = 3600.0


def test_the_lifetime_is_learned_and_planned_ends_are_no_deaths() -> None:
    assert mean_s([]) == 4 * H  # the prior
    assert mean_s([Life(0, 40 * H, False)]) == 44 * H
    assert mean_s([Life(0, 4 * H, True)] * 9) == 4 * H


def test_the_estimate_finds_the_truth_behind_censoring() -> None:
    rng = random.Random(3)
    watched = []
    for _ in range(4000):
        entered_s, dies_s = rng.choice([0.0, H]), rng.expovariate(1 / (5 * H))
        if dies_s > entered_s:  # late entry: who died before was never seen
            watched.append(Life(entered_s, min(dies_s, 6 * H), dies_s < 6 * H))
    assert mean_s(watched) == pytest.approx(5 * H, rel=0.05)


def test_with_fifty_deaths_each_hour_has_its_own_rate() -> None:
    young = [Life(0, 0.5 * H, True)] * 60 + [Life(0, 10 * H, False)] * 60
    assert mean_s(young, age_s=0.0) < 2 * H
    assert mean_s(young, age_s=5 * H) > 50 * H
    few = young[:20]
    assert mean_s(few, age_s=5 * H) == mean_s(few)


def test_who_fell_silent_has_died_and_who_was_stopped_has_not() -> None:
    now = datetime(2026, 11, 25, 8, tzinfo=UTC)

    def session(state: str, beat_ago: timedelta) -> Session:
        at = now - timedelta(hours=5)
        is_open = state == "open"
        return Session(
            "s", 1, "r", "colab", "T4", "gpu", "m", 1, 600.0, at, now - beat_ago, H, state,  # type: ignore[arg-type]
            None if is_open else at, None if is_open else 2,
        )  # fmt: skip

    fresh, old = timedelta(minutes=1), timedelta(hours=1)
    found = lives(
        [session("died", old), session("open", old), session("open", fresh), session("user", old)],
        "colab",
        now,
    )
    assert [life.is_death for life in found] == [True, True, False, False]
    assert (found[0].entered_s, found[0].left_s, found[0].watched_s) == (600, 600 + H, H)
    assert lives([session("died", old)], "kaggle", now) == ()
