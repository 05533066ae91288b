"""Daly's interval against the points that his paper publishes."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from agnews_cli.core.saving.interval import daly, save_interval
from agnews_cli.core.text import duration


@pytest.mark.parametrize(("lifetime_h", "minutes"), [(24, 116.7), (6, 56.7), (0.25, 9.14)])
def test_daly_at_a_cost_of_five_minutes(lifetime_h, minutes):
    assert daly(300, lifetime_h * 3600) / 60 == pytest.approx(minutes, abs=0.06)


def test_saving_never_takes_more_than_a_twentieth_nor_waits_longer_than_two_hours():
    for cost_s in (0.01, 1, 30, 300):
        for lifetime_s in (60, 3600, 1e6, 1e9):
            interval_s = save_interval(cost_s, lifetime_s)
            assert cost_s <= interval_s * 0.05 + 1e-9
            assert interval_s <= 7200


def test_a_time_of_day_is_the_next_one():
    now = datetime(2026, 11, 24, 23, 0, tzinfo=UTC)
    assert duration.until("23:30", now) == 1800
    assert duration.until("7:00", now) == 8 * 3600
    assert duration.until("23:00", now) == 24 * 3600
    assert [duration.until(bad, now) for bad in ("24:00", "7", "7:5", "noon", "")] == [None] * 5
