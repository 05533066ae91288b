"""JSON from outside: plain data of a bounded depth, or ValueError in words and nothing else.

Python's reader raises RecursionError for what is nested deep, takes half a surrogate pair for a
character (which no file and no screen then takes), and has no bound that the code after it could
rely on. Whoever reads a record, a lease, an event or a journal reads it here.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

MOST_DEPTH = 32
_TOO_DEEP = f"nested deeper than {MOST_DEPTH} levels"
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def parse(text: str | bytes) -> Any:
    """What `text`, UTF-8 where it is bytes, says. Raises ValueError."""
    text = text.decode("utf-8") if isinstance(text, bytes) else text
    try:
        found = json.loads(text)
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None
    _require_shallow(found)
    if _SURROGATE.search(text):
        json.dumps(found, ensure_ascii=False).encode()
    return found


def mapping(text: str | bytes) -> dict[str, Any]:
    """A JSON object. Raises ValueError, also for what is JSON and none."""
    found = parse(text)
    if not isinstance(found, dict):
        raise ValueError("it is no object")
    return found


def whole(value: object, *, most: int = 10**15) -> int | None:
    """`value` where it is a whole number from 0 to `most`; None for all else."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= most:
        return value
    return None


def number(value: object) -> float | None:
    """`value` where it is a finite number; None for all else."""
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return float(value)
    return None


def _require_shallow(found: Any) -> None:
    level = [found]
    for _ in range(MOST_DEPTH):
        level = [
            child
            for each in level
            if isinstance(each, dict | list)
            for child in (each.values() if isinstance(each, dict) else each)
        ]
        if not level:
            return
    raise ValueError(_TOO_DEEP)
