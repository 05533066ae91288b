"""Cycles: how long they are, when each ends, and the learning rate in them."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agnews_cli.core.run.preset import Training
from agnews_cli.learn.loop import cycles
from agnews_cli.learn.loop.learning_rate import learning_rate


@given(st.integers(1, 50), st.integers(1, 2000))
def test_every_step_is_in_one_cycle_and_all_are_as_long_to_within_a_step(many, steps):
    bounds = [cycles.bounds(many, step, steps) for step in range(steps)]
    assert all(begin <= step < end for step, (begin, end) in enumerate(bounds))
    distinct = sorted(set(bounds))
    assert distinct[0][0] == 0 and distinct[-1][1] == steps
    assert [end for _, end in distinct[:-1]] == [begin for begin, _ in distinct[1:]]
    lengths = {end - begin for begin, end in distinct}
    assert max(lengths) - min(lengths) <= 1
    ended = {done: found for done in range(steps + 1) if (found := cycles.ended(many, done, steps))}
    assert sorted(n for found in ended.values() for n in found) == list(range(1, many + 1))
    assert set(ended) == {end for _, end in distinct}


def test_each_cycle_is_a_cosine_from_the_peak_to_nearly_nothing():
    training = Training(lr=1e-3, schedule="cyclic", snapshots=4, warmup=0)
    rates = [learning_rate(training, step, 80) for step in range(80)]
    for cycle in range(4):
        mine = rates[20 * cycle : 20 * cycle + 20]
        assert mine[0] == 1e-3 and mine == sorted(mine, reverse=True)
        for step, rate in list(enumerate(mine))[1:]:
            assert rate == pytest.approx(1e-3 * (1 + math.cos(math.pi * (step - 1) / 19)) / 2)
        assert mine[-1] < 0.01 * 1e-3


def test_each_cycle_warms_up_for_its_share():
    training = Training(lr=1e-3, schedule="cyclic", snapshots=2, warmup=0.2)
    rates = [learning_rate(training, step, 100) for step in range(100)]
    assert rates[:10] == pytest.approx([1e-4 * n for n in range(1, 11)])
    assert rates[50:] == rates[:50]


def test_other_schedules_have_none():
    assert Training(lr=1e-3, snapshots=7).cycles == 0
    assert Training(lr=1e-3, schedule="cyclic").cycles == 5
