"""A deadline: how long until then, and what is kept of the time before."""

from __future__ import annotations

import math

from agnews_cli.core.run.deadline import Deadline

END = Deadline("session", 100.0)
NONE = Deadline("session", None)


def test_it_is_over_when_nothing_is_left() -> None:
    assert (END.left_s(40.0), END.is_over(99.9), END.is_over(100.0)) == (60.0, False, True)
    assert END.before(30.0).is_over(70.0)
    assert END.at_latest(20.0).end_s == 20.0
    assert END.at_latest(200.0).end_s == 100.0


def test_without_an_end_nothing_is_ever_over() -> None:
    assert (NONE.left_s(1e9), NONE.is_over(1e9), NONE.before(5.0).is_set) == (
        math.inf,
        False,
        False,
    )
    assert NONE.at_latest(20.0).end_s == 20.0


def test_a_reserve_takes_no_greater_share_than_it_may() -> None:
    assert END.reserve_s(10.0, most=0.25, since_s=40.0) == 10.0
    assert END.reserve_s(50.0, most=0.25, since_s=40.0) == 15.0
    assert END.reserve_s(50.0, most=0.25, since_s=120.0) == 0.0
    assert NONE.reserve_s(50.0, most=0.25, since_s=0.0) == 50.0
