"""Saving against sessions that end: the programme, what is learned, and the table we anchor on."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest

from agnews_cli.core.saving.deaths import true_survival
from agnews_cli.core.saving.hazard import Hazard, learn, one_rate, saves
from agnews_cli.core.saving.interval import daly
from benchmarks.deaths import Bathtub

HOUR = 3600.0

# (deadline h, save s, lifetime h, saved work over time alive: exact programme, Daly with a last
# save, Daly without): dynamic programming on a fine grid, made independently of this code.
TABLE = [
    (12, 10, 4, 0.9632, 0.9632, 0.9613),
    (12, 60, 4, 0.9115, 0.9114, 0.9098),
    (12, 60, 12, 0.9482, 0.9482, 0.9240),
    (9, 60, 1, 0.8284, 0.8284, 0.8283),
    (4, 60, 2, 0.8764, 0.8764, 0.8735),
    (12, 300, 6, 0.8424, 0.8422, 0.8265),
    (1, 20, 0.5, 0.8582, 0.8582, 0.8565),
]


def expected_work_s(survival: Hazard, ages: Sequence[float], cost_s: float) -> float:
    """Work that is saved at a session's end, on average, when saves are begun at `ages`."""
    total, since = 0.0, 0.0
    for age in ages:
        total += survival.alive(age + cost_s) * (age - since)
        since = age + cost_s
    return total


def expected_life_s(survival: Hazard, deadline_s: float, parts: int = 2000) -> float:
    """How long a session lives, on average, the deadline counted."""
    step = deadline_s / parts
    alive = [survival.alive(k * step) for k in range(parts + 1)]
    return step * (sum(alive) - (alive[0] + alive[-1]) / 2)


def regular(interval_s: float, cost_s: float, deadline_s: float) -> list[float]:
    ages, age = [], interval_s
    while age + cost_s <= deadline_s:
        ages.append(age)
        age += interval_s + cost_s
    return ages


@pytest.mark.parametrize("row", TABLE)
def test_saved_work_agrees_with_the_table(row):
    deadline_h, cost_s, lifetime_h, best, with_last, without = row
    deadline_s, lifetime_s = deadline_h * HOUR, lifetime_h * HOUR
    survival = one_rate(lifetime_s)
    life_s = expected_life_s(survival, deadline_s)

    def share(ages) -> float:
        return expected_work_s(survival, ages, cost_s) / life_s

    assert share(saves(survival, deadline_s, cost_s)) == pytest.approx(best, abs=2e-4)
    plain = regular(daly(cost_s, lifetime_s), cost_s, deadline_s)
    assert share(plain) == pytest.approx(without, abs=2e-4)
    fitted = [age for age in plain if age + cost_s <= deadline_s - cost_s]
    fitted.append(deadline_s - cost_s)
    assert share(fitted) == pytest.approx(with_last, abs=2e-3)


def test_the_last_save_is_there_at_the_deadline():
    for upload_s in (0.0, 90.0):
        ages = saves(one_rate(4 * HOUR), 12 * HOUR, 30, begins_s=300, upload_s=upload_s)
        assert ages[0] > 300
        assert ages[-1] + 30 + upload_s == pytest.approx(12 * HOUR, abs=1)
    assert saves(one_rate(HOUR), 60, 100) == ()


def test_fifty_ends_make_the_hazard_follow_age():
    bathtub, rng = Bathtub(0.45, HOUR, 0.8 * HOUR, 24 * HOUR), random.Random(1)
    lived = [(bathtub.draw(rng), True) for _ in range(400)]
    assert len(learn(lived[:49]).rates) == 1
    learned, true = learn(lived), true_survival(bathtub, 24 * HOUR)
    for age_h in (1, 4, 12, 20):
        assert learned.alive(age_h * HOUR) == pytest.approx(true.alive(age_h * HOUR), abs=0.08)
    assert learned.rate_at(0.2 * HOUR) > 5 * learned.rate_at(12 * HOUR)


def test_saves_are_frequent_where_machines_die():
    survival = true_survival(Bathtub(0.45, HOUR, 0.8 * HOUR, 24 * HOUR), 24 * HOUR)
    ages = saves(survival, 24 * HOUR, 20)
    young = sum(age < 3 * HOUR for age in ages)
    middle = sum(8 * HOUR < age < 11 * HOUR for age in ages)
    assert young > 2 * middle


def test_sessions_that_ended_as_planned_are_no_deaths():
    assert learn([(10 * HOUR, False)] * 9).rates[0] == pytest.approx(1 / (94 * HOUR))
    assert learn([]).rates[0] == pytest.approx(1 / (4 * HOUR))
