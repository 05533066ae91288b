"""Durations and times of day as people write them: `45m`, `1h30m`, `90s`, `2d`; `23:30`."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from decimal import Decimal

_NUMBER = r"\d{1,12}(?:\.\d{1,12})?"
_PARTS = (
    rf"(?:(?P<d>{_NUMBER})d)?(?:(?P<h>{_NUMBER})h)?"
    rf"(?:(?P<m>{_NUMBER})m(?:in)?)?(?:(?P<s>{_NUMBER})s)?"
)
_UNITS_S = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0}
_BARE = r"\d+(?:\.\d+)?|\.\d+"
FORM = "a number with s, m, h or d, such as 90s, 45m, 1h30m or 2d"
_MOST_S = 3650 * 86400.0


def read(text: str, *, unit_s: float | None = None, likely: str = "ms") -> float:
    """Seconds in `text`, more than 0 and less than ten years.

    `unit_s`: what a number alone is counted in, where the name of what is asked says it. `likely`:
    the units, the likelier first, that a number alone may have meant elsewhere. Raises ValueError
    that says what was found and what was likely meant.
    """
    short = text.strip().lower().replace(" ", "")
    if re.fullmatch(_BARE, short, re.ASCII):
        if unit_s is None:
            meant = " or ".join(f"{short}{unit}" for unit in likely)
            raise ValueError(f"a number without a unit: {meant}?")
        return _checked(float(short) * unit_s)
    match = re.fullmatch(_PARTS, short, re.ASCII)
    if match is None or not any(match.groups()):
        raise ValueError(f"not a duration: expected {FORM}.")
    return _checked(sum(float(match[unit] or 0) * each_s for unit, each_s in _UNITS_S.items()))


def _checked(seconds: float) -> float:
    if not seconds:
        raise ValueError("no time at all.")
    if seconds >= _MOST_S:
        raise ValueError("more than ten years.")
    return seconds


def parse(text: str) -> float | None:
    """Seconds in `text`, or None when it is no duration; see `read`."""
    try:
        return read(text)
    except ValueError:
        return None


def meant(text: str, likely: str = "ms") -> str | None:
    """The duration that a number without a unit likely was; None for anything else."""
    guess = f"{text.strip()}{likely[0]}"
    return guess if re.fullmatch(_BARE, text.strip(), re.ASCII) and parse(guess) else None


def write(seconds: float) -> str:
    """The shortest text that `parse` reads as exactly `seconds`: `1h30m`, `45m`, `0.5s`."""
    if seconds != int(seconds):
        return f"{Decimal(repr(seconds)):f}s"
    minutes, rest_s = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    parts = ((hours, "h"), (minutes, "m"), (rest_s, "s"))
    return "".join(f"{count}{unit}" for count, unit in parts if count)


def until(text: str, now: datetime) -> float | None:
    """Seconds from `now` to the next time of day `HH:MM` in its zone, to the end of a weekday
    (`Sunday`; today where it is that day) or to a time on it (`Sunday 18:00`), or in a duration;
    None when it is none of these."""
    day, _, time = text.strip().partition(" ")
    weekday = _weekday(day)
    if weekday is not None:
        return _until_day(weekday, time.strip(), now)
    match = re.fullmatch(r"([01]?\d|2[0-3]):([0-5]\d)", text.strip(), re.ASCII)
    if match is None:
        return parse(text)
    end = now.replace(hour=int(match[1]), minute=int(match[2]), second=0, microsecond=0)
    if end <= now:
        end += timedelta(days=1)
    return (end - now).total_seconds()


_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_SHORTEST_DAY = 3
"""`Sun` is enough."""


def _weekday(word: str) -> int | None:
    """0 for Monday; None where it is no day of the week."""
    word = word.casefold()
    if len(word) < _SHORTEST_DAY:
        return None
    return next((n for n, day in enumerate(_DAYS) if day.startswith(word)), None)


def _until_day(weekday: int, time: str, now: datetime) -> float | None:
    match = re.fullmatch(r"([01]?\d|2[0-3]):([0-5]\d)|", time, re.ASCII)
    if match is None:
        return None
    hour, minute = (int(match[1]), int(match[2])) if match[1] else (24, 0)
    day = now.replace(hour=0, minute=0, second=0, microsecond=0)
    day += timedelta(days=(weekday - now.weekday()) % 7)
    end = day + timedelta(hours=hour, minutes=minute)
    return ((end if end > now else end + timedelta(days=7)) - now).total_seconds()


def show(seconds: float) -> str:
    """A short form with two units at most: `1 h 05 min`, `2 min 10 s`, `8 s`."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    minutes, rest_s = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest_s:02d} s" if rest_s else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if minutes else f"{hours} h"
