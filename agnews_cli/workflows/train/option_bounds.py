"""Numbers that make no sense are refused by name, before anything is read or reckoned with."""

from __future__ import annotations

from agnews_cli.errors import OutOfRange

MOST_SEED = 2**32 - 1
"""NumPy's generators take no more."""
MOST_HOURS = 10_000.0
MOST_PROCESSES = 64
MOST_ROWS = 1_000_000_000
MOST_MEMBERS = 100
MOST_LIVES = 100_000


def require(option: str, given: float | None, least: float, most: float, unit: str = "") -> None:
    """Raises OutOfRange unless `least` <= `given` <= `most`; what was not given is in range."""
    if given is not None and not least <= given <= most:  # NaN is in no range
        bounds = f"{_shown(least)} to {_shown(most)}{unit}"
        raise OutOfRange(option=option, given=f"{_shown(given)}{unit}", bounds=bounds)


def _shown(number: float) -> str:
    return f"{number:,}" if isinstance(number, int) else f"{number:,.10g}"
