"""Numbers that make no sense are refused by name, before anything is read or reckoned with."""

from __future__ import annotations

from agnews_cli.core.run.request import FIELDS, SessionOptions, Wish
from agnews_cli.errors import OutOfRange

MOST_HOURS = 10_000.0
MOST_MEMBERS = 100
MOST_LIVES = 100_000


def require(option: str, given: float | None, least: float, most: float, unit: str = "") -> None:
    """Raises OutOfRange unless `least` <= `given` <= `most`; what was not given is in range."""
    if given is not None and not least <= given <= most:  # NaN is in no range
        bounds = f"{_shown(least)} to {_shown(most)}{unit}"
        raise OutOfRange(option=option, given=f"{_shown(given)}{unit}", bounds=bounds)


def _shown(number: float) -> str:
    return f"{number:,}" if isinstance(number, int) else f"{number:,.10g}"


def require_all(*asked: Wish | SessionOptions) -> None:
    """Raises OutOfRange for the first number of these that nobody can mean."""
    for part in asked:
        for one in FIELDS[type(part)]:
            value = getattr(part, one.name)
            if one.ask.form.is_time:
                hours = None if value is None else value / 3600.0
                require(one.option, hours, 0.0, MOST_HOURS, " h")
            elif one.ask.most is not None:
                require(one.option, value, one.ask.least or 0, one.ask.most)
