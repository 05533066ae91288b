"""Durations and times of day as people write them: `45m`, `1h30m`, `90s`; `23:30`."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from decimal import Decimal

_PARTS = re.compile(
    r"(?:(?P<h>\d+(?:\.\d+)?)h)?(?:(?P<m>\d+(?:\.\d+)?)m)?(?:(?P<s>\d+(?:\.\d+)?)s?)?"
)


def parse(text: str) -> float | None:
    """Seconds in `text`, or None when it is no positive duration. A bare number is seconds."""
    match = _PARTS.fullmatch(text.strip().lower().replace(" ", ""))
    if match is None or not any(match.groups()):
        return None
    hours, minutes, seconds = (float(match[unit] or 0) for unit in "hms")
    total_s = hours * 3600 + minutes * 60 + seconds
    return total_s or None


def write(seconds: float) -> str:
    """The shortest text that `parse` reads as exactly `seconds`: `1h30m`, `45m`, `0.5s`."""
    if seconds != int(seconds):
        return f"{Decimal(repr(seconds)):f}s"
    minutes, rest_s = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    parts = ((hours, "h"), (minutes, "m"), (rest_s, "s"))
    return "".join(f"{count}{unit}" for count, unit in parts if count)


def until(text: str, now: datetime) -> float | None:
    """Seconds from `now` to the next time of day `HH:MM` in its zone; None when it is none."""
    match = re.fullmatch(r"([01]?\d|2[0-3]):([0-5]\d)", text.strip())
    if match is None:
        return None
    end = now.replace(hour=int(match[1]), minute=int(match[2]), second=0, microsecond=0)
    if end <= now:
        end += timedelta(days=1)
    return (end - now).total_seconds()


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
