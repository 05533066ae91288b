"""Whose texts are read next, how often a client may ask, and how far classes have shifted."""

from __future__ import annotations

import random

import pytest

from agnews_cli.core.serving.rate import MOST_CLIENTS, Allowances
from agnews_cli.core.serving.shift import RecentClasses, expected
from agnews_cli.core.serving.turns import shares
from tests.core.evaluations import evaluation


@pytest.mark.parametrize(
    ("left", "most", "given"),
    [
        ([1], 64, [1]),
        ([1000, 1], 64, [63, 1]),
        ([1000, 1000, 3], 64, [31, 30, 3]),
        ([5, 5, 5], 2, [1, 1, 0]),
        ([], 64, []),
    ],
)
def test_every_request_gets_its_share_of_a_pass(left, most, given):
    assert shares(left, most) == given


def test_shares_are_max_min_fair_and_leave_no_place_empty():
    rng = random.Random(0)
    for _ in range(300):
        left = [rng.randint(1, 50) for _ in range(rng.randint(1, 20))]
        most = rng.randint(1, 200)
        given = shares(left, most)
        assert sum(given) == min(most, sum(left))
        assert all(g <= n for g, n in zip(given, left, strict=True))
        hungry = [g for g, n in zip(given, left, strict=True) if g < n]
        if hungry:  # nobody has more than one above the least of those who want more
            assert max(given) - min(hungry) <= 1


def test_a_client_may_send_a_burst_of_a_second_and_then_its_rate():
    allowed = Allowances(5.0)
    assert [allowed.wait_s("a", 0.0) for _ in range(5)] == [0.0] * 5
    assert allowed.wait_s("a", 0.0) == pytest.approx(0.2)
    assert allowed.wait_s("b", 0.0) == 0.0  # another client has its own
    assert allowed.wait_s("a", 0.2) == 0.0
    assert allowed.wait_s("a", 0.2) > 0
    times = [n / 100 for n in range(100, 1100)]  # ten seconds at a hundred a second
    assert sum(not allowed.wait_s("a", at) for at in times) in range(50, 56)


def test_less_than_one_a_second_still_lets_one_through():
    allowed = Allowances(0.5)
    assert allowed.wait_s("a", 0.0) == 0.0
    assert allowed.wait_s("a", 1.0) == pytest.approx(1.0)
    assert allowed.wait_s("a", 2.0) == 0.0


def test_clients_that_are_remembered_are_bounded():
    allowed = Allowances(1.0)
    for n in range(MOST_CLIENTS + 100):
        allowed.wait_s(str(n), float(n))
    assert len(allowed._left) == MOST_CLIENTS


def test_a_shift_is_half_of_what_the_shares_differ_by_and_forgets_what_is_old():
    recent = RecentClasses(2, most=10)
    assert recent.shift((0.5, 0.5)) is None
    recent.add([0, 1] * 5)
    assert recent.shift((0.5, 0.5)) == 0.0
    recent.add([1] * 5)
    assert len(recent) == 10
    assert recent.shift((0.5, 0.5)) == pytest.approx(0.3)  # 2 and 8 of ten
    assert recent.shift((1.0, 0.0)) == pytest.approx(0.8)


def test_what_is_expected_is_what_was_predicted_and_of_which_rows_is_said():
    found = expected(evaluation(((8, 2), (0, 10)), ((5, 5), (0, 0))))
    assert found is not None
    assert found.shares == (0.5, 0.5)
    assert found.source == "predicted of the 10 test rows"
    found = expected(evaluation(((8, 2), (0, 10)), None))
    assert found is not None
    assert (found.shares, found.source) == ((0.4, 0.6), "predicted of the 20 validation rows")
    assert expected(None) is None
    assert expected(evaluation(((0, 0), (0, 0)), None)) is None
