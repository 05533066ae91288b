"""Simulated lives: the distributions are what they say, the books balance, ours keeps most."""

from __future__ import annotations

import math
import random
from dataclasses import replace

import pytest

from agnews_cli.core.saving.deaths import Exponential
from agnews_cli.core.saving.simulate import (
    KnownHazard,
    Learned,
    World,
    compare,
    every,
    foresight,
    live,
    usual_policies,
)
from benchmarks.deaths import Bathtub, Rarely, Weibull

HOUR = 3600.0
WORLD = World(Exponential(4 * HOUR), 12 * HOUR, 30 * HOUR)


def rng_of(seed: int, session: int) -> random.Random:
    return random.Random(seed * 1_000_003 + session)


def rngs(number: int) -> random.Random:
    return rng_of(7, number)


@pytest.mark.parametrize(
    "lifetimes",
    [
        Exponential(4 * HOUR),
        Weibull(0.6, 4 * HOUR),
        Bathtub(0.45, HOUR, 0.8 * HOUR, 24 * HOUR),
        Rarely(0.3, 12 * HOUR),
    ],
    ids=lambda lifetimes: type(lifetimes).__name__,
)
def test_lives_are_drawn_from_what_is_stated(lifetimes):
    rng = random.Random(0)
    drawn = [lifetimes.draw(rng) for _ in range(4000)]
    for age_h in (0.5, 2, 6, 9):
        share = sum(life > age_h * HOUR for life in drawn) / len(drawn)
        assert share == pytest.approx(lifetimes.alive(age_h * HOUR), abs=0.03)


def test_the_books_balance():
    life = live(WORLD, every(1200), rngs)
    assert life.is_done
    assert life.kept_s == pytest.approx(WORLD.work_s)
    assert life.held_s > life.kept_s + life.sessions * WORLD.startup_s - WORLD.startup_s
    assert 0 < life.goodput < 1
    assert life.finish_s == pytest.approx(life.held_s)  # without quota nobody waits


def test_nothing_saved_is_nothing_kept():
    never_done = replace(WORLD, work_s=1000 * HOUR, lifetimes=Rarely(1.0, 12 * HOUR))
    life = live(never_done, lambda *_: (), rngs)
    assert life.kept_s == 0 and not life.is_done


def test_quota_that_is_cut_delays_the_finish():
    scarce = replace(WORLD, quota_s=10 * HOUR)
    cut = replace(scarce, quota_cut_share=1.0)
    free, some, less = (live(w, every(1200), rngs) for w in (WORLD, scarce, cut))
    assert free.finish_s < some.finish_s < less.finish_s
    assert less.kept_s == pytest.approx(WORLD.work_s)


def test_a_save_whose_upload_stalls_does_not_count():
    stalls = replace(WORLD, stall_share=1.0, stall_factor=200.0)
    assert live(stalls, every(1200), rngs).goodput < live(WORLD, every(1200), rngs).goodput
    never_there = replace(WORLD, stall_share=1.0, stall_factor=1e6, work_s=100 * HOUR)
    assert live(never_there, every(1200), rngs).kept_s == 0


def test_knowing_more_is_never_worse():
    lives = range(8)
    best = sum(live(WORLD, KnownHazard(), lambda n, s=s: rng_of(s, n)).goodput for s in lives)
    ours = sum(live(WORLD, Learned(), lambda n, s=s: rng_of(s, n)).goodput for s in lives)
    told = sum(foresight(WORLD, lambda n, s=s: rng_of(s, n)).goodput for s in lives)
    assert told > best
    assert ours > 0.98 * best


@pytest.mark.parametrize(
    "world",
    [
        WORLD,
        replace(
            WORLD,
            lifetimes=Bathtub(0.45, HOUR, 0.8 * HOUR, 24 * HOUR),
            deadline_s=24 * HOUR,
            work_s=60 * HOUR,
        ),
    ],
    ids=["exponential", "bathtub"],
)
def test_ours_is_ahead_of_every_fixed_policy(world):
    rows = {r.name: r for r in compare(world, usual_policies(world), range(8), rng_of)}
    ours = rows["agnews: learned rate, Daly, last save"]
    for name in ("every 500 steps", "every 2 h", "once an epoch"):
        assert ours.goodput.mean > rows[name].goodput.mean, name
    assert ours.share.mean > 0.97
    assert not math.isnan(ours.goodput.low)
