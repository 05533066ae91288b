"""How people write a value: as it is, several of it, or a time; both ways, for each `Spelling`.

Help reads the forms too, so that nothing is imported before a value is read.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import datetime
from typing import Any, NamedTuple

_LEAST_SESSION_S = 36.0


class Spelling(NamedTuple):
    """`read(option, typed, now)` is the value of what was typed; `write(value)` is typed as it."""

    read: Callable[[str, Any, datetime], Any]
    write: Callable[[Any], Any]
    typed: Any = None
    """The type of what is typed; None: that of the value."""
    is_time: bool = False
    """Whether the value is seconds."""


def seconds(
    option: str,
    given: str | None,
    *,
    unit_s: float | None = None,
    likely: str = "ms",
    least_s: float = 0.0,
) -> float | None:
    """The duration given for `--option`. Raises BadDuration.

    `unit_s`: of a number alone, where the option's name gives the unit. `likely`: the units that it
    may have meant elsewhere.
    """
    from agnews_cli.core.text import duration
    from agnews_cli.errors import BadDuration

    if given is None:
        return None
    like = duration.meant(given, likely) or ("8h" if unit_s or likely == "hm" else "45m")
    try:
        found_s = duration.read(given, unit_s=unit_s, likely=likely)
    except ValueError as problem:
        raise BadDuration(option=option, given=given, problem=problem, like=like) from None
    if found_s < least_s:
        short = f"too short: expected at least {duration.write(least_s)}."
        raise BadDuration(option=option, given=given, problem=short, like="8h")
    return found_s


def _hours_read(option: str, typed: str | None, now: datetime) -> float | None:
    return seconds(option, typed, unit_s=3600.0, least_s=_LEAST_SESSION_S)


def _hours_written(seconds: float) -> float:
    """The hours that are these seconds again: 3600 times the nearest may miss by one bit."""
    near = seconds / 3600
    tries = (near, math.nextafter(near, 0), math.nextafter(near, math.inf))
    return next((hours for hours in tries if hours * 3600 == seconds), near)


def _duration_written(seconds: float) -> str:
    from agnews_cli.core.text import duration

    return duration.write(seconds)


def _moment_read(option: str, typed: str | None, now: datetime) -> float | None:
    from agnews_cli.core.text import duration
    from agnews_cli.errors import BadTimeOfDay

    if typed is None:
        return None
    left_s = duration.until(typed, now)
    if left_s is None:
        raise BadTimeOfDay(given=typed)
    return left_s


PLAIN = Spelling(lambda option, typed, now: typed, lambda value: value)
SEVERAL = Spelling(lambda option, typed, now: tuple(typed or ()), list, list[str] | None)
DURATION = Spelling(
    lambda option, typed, now: seconds(option, typed), _duration_written, str | None, is_time=True
)
HOURS = Spelling(_hours_read, _hours_written, str | None, is_time=True)
"""A number alone is hours."""
MOMENT = Spelling(_moment_read, _duration_written, str | None, is_time=True)
"""A time of day, or a duration from now."""
