"""What people and other programs say of a quota, read: `11.2h`, `95cu`, or JSON.

JSON is one object, or a list of which the one with our `resource` counts (so `kaggle quota
--format json` is understood): `left` or `remaining`, `used`, `allowed` or `total`, `reserved`,
`returns_at` or `refreshAt`. Amounts are text as above, or numbers of hours.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from agnews_cli.core.hours.limits import Limit
from agnews_cli.core.hours.resource import Resource
from agnews_cli.core.hours.session import EARLIEST, LATEST, QuotaReading
from agnews_cli.core.text import duration, strict_json

_UNITS = re.compile(r"(\d+(?:\.\d+)?)\s*(?:cu|units?|compute units?)", re.IGNORECASE)
_NAMES = {
    "left_s": ("left", "remaining"),
    "used_s": ("used",),
    "allowed_s": ("allowed", "total"),
    "reserved_s": ("reserved",),
}


def amount_s(text: str, limit: Limit | None) -> float | None:
    """Seconds in `11.2h`, `1h30m`, `0h`, or in units at the limit's rate; None for all else."""
    text = text.strip()
    if units := _UNITS.fullmatch(text):
        rate = limit.units_per_hour if limit is not None else None
        return None if rate is None else float(units[1]) / rate.value * 3600
    if re.fullmatch(r"0+(?:\.0+)?\s*[hms]?", text):
        return 0.0
    return None if text.replace(".", "").isdecimal() else duration.parse(text)


def why_no_amount(text: str, limit: Limit | None) -> str:
    """What is wrong with a text that is no amount, and what was likely meant."""
    units = "; or compute units such as 95cu" if limit is not None and limit.units_per_hour else ""
    try:
        duration.read(text, likely="hm")
    except ValueError as problem:
        return f"{str(problem).rstrip('.')}{units}" + ("" if str(problem).endswith("?") else ".")
    return f"not an amount of time: expected {duration.FORM}{units}."


def moment(text: str) -> datetime | None:
    """A time in ISO 8601, UTC where it does not say; None for anything else."""
    try:
        found = datetime.fromisoformat(text.strip())
        found = found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return found if EARLIEST <= found < LATEST else None


def read(
    text: str,
    *,
    platform: str,
    resource: Resource,
    limit: Limit | None,
    now: datetime,
    source: str,
) -> QuotaReading:
    """The reading in `text`. Raises ValueError, in words, where there is none."""
    told = _object(text.strip(), resource)
    found: dict[str, float] = {}
    for field, names in _NAMES.items():
        for name in names:
            if told.get(name) is not None:
                found[field] = _amount_s(told[name], name, limit)
    if "left_s" not in found and "used_s" not in found:
        raise ValueError("neither what is left nor what was used")
    returns = told.get("returns_at", told.get("refreshAt"))
    returns_at = None if returns in (None, "") else moment(str(returns))
    if returns not in (None, "") and returns_at is None:
        raise ValueError(f"{returns!r} is no time")
    return QuotaReading(
        id="",
        platform=platform,
        resource=resource,
        at=now,
        how="reported",
        source=source,
        returns_at=returns_at,
        **found,
    )


def _object(text: str, resource: Resource) -> Mapping[str, Any]:
    if not text.startswith(("{", "[")):
        return {"left": text.splitlines()[0] if text else ""}
    told = strict_json.parse(text)
    if isinstance(told, list):
        mine = [
            t for t in told if isinstance(t, dict) and str(t.get("resource")).lower() == resource
        ]
        if not mine:
            raise ValueError(f"nothing about {resource}")
        told = mine[0]
    if not isinstance(told, dict):
        raise ValueError("it is no object")
    return told


def _amount_s(value: Any, name: str, limit: Limit | None) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e6:
        return float(value) * 3600
    found = amount_s(value, limit) if isinstance(value, str) else None
    if found is None:
        raise ValueError(f"{name} {value!r} is no amount of time, such as 11.2h")
    return found
