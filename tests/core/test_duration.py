"""Durations: one grammar, exact both ways, and a number alone is never guessed at."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agnews_cli.core.text import duration

READ = {
    "90s": 90,
    "45m": 2700,
    "1h30m": 5400,
    "1.5h": 5400,
    "2d": 172_800,
    "1d 2h 3m 4s": 93_784,
    " 1 H 05 min ": 3900,
    "2 min 10 s": 130,
    "0.5s": 0.5,
}
REFUSED = {
    "45": "45m or 45s?",
    "1.5": "1.5m or 1.5s?",
    "0": "without a unit",
    "": "not a duration",
    "soon": "not a duration",
    "-5m": "not a duration",
    "5m3h": "not a duration",
    "1h30": "not a duration",
    "1e3s": "not a duration",
    "inf": "not a duration",
    "nan": "not a duration",
    "٤٥m": "not a duration",
    "0s": "no time at all",
    "0h0m": "no time at all",
    "9" * 400 + "h": "not a duration",
    "3651d": "more than ten years",
}


@pytest.mark.parametrize("text", READ)
def test_what_people_write_is_read(text: str) -> None:
    assert duration.read(text) == duration.parse(text) == READ[text]


@pytest.mark.parametrize("text", REFUSED)
def test_anything_else_is_refused_in_words(text: str) -> None:
    assert duration.parse(text) is None
    with pytest.raises(ValueError) as caught:
        duration.read(text)
    assert REFUSED[text] in str(caught.value)


def test_a_number_counts_where_the_name_gives_the_unit() -> None:
    assert duration.read("8", unit_s=3600) == duration.read("8h", unit_s=3600) == 8 * 3600
    assert duration.read("0.5", unit_s=3600) == 1800
    with pytest.raises(ValueError, match="more than ten years"):
        duration.read("9" * 400, unit_s=3600)


def test_what_was_likely_meant() -> None:
    assert duration.meant("45") == "45m"
    assert duration.meant("9.4", "hm") == "9.4h"
    assert duration.meant("soon") is None and duration.meant("0") is None


@given(st.integers(1, 10**8).map(float) | st.integers(1, 10**10).map(lambda ms: ms / 1000))
def test_what_is_written_is_read_as_the_same(seconds: float) -> None:
    if seconds < 3650 * 86_400:
        assert duration.read(duration.write(seconds)) == seconds


def test_until_is_a_time_of_day_or_a_time_from_now() -> None:
    now = datetime.fromisoformat("2026-11-28T22:00+01:00")
    assert duration.until("23:30", now) == 5400
    assert duration.until("21:00", now) == 23 * 3600
    assert duration.until("2h", now) == 7200
    assert duration.until("24:00", now) is None
    assert duration.until("90", now) is None


@pytest.mark.parametrize(
    ("typed", "hours"),
    [
        ("Sunday", 3 + 4 * 24), ("sun", 3 + 4 * 24), ("sunday 18:00", 3 + 4 * 24 - 6),
        ("Wednesday", 3), ("wed 22:00", 1), ("wed 20:00", 7 * 24 - 1), ("tue", 3 + 6 * 24),
    ],
)  # fmt: skip
def test_until_a_day_is_to_its_end_or_to_a_time_on_it(typed: str, hours: float) -> None:
    now = datetime(2026, 11, 25, 21, tzinfo=UTC)  # a Wednesday
    assert duration.until(typed, now) == hours * 3600


@pytest.mark.parametrize("typed", ["su", "sunda y", "sundays", "sunday 25:00", "sunday noon", "t"])
def test_what_is_no_day_is_no_moment(typed: str) -> None:
    assert duration.until(typed, datetime(2026, 11, 25, 21, tzinfo=UTC)) is None
