"""How old the platform's session is that this process runs in: an estimate, from the machine.

No platform tells. What the user says comes first; then the oldest of the notebook kernel's start
and that of process 1 (the container's); then the machine's uptime, which may be the host's.
"""

from __future__ import annotations

import math
import os
import time
from dataclasses import dataclass
from pathlib import Path

ENV = "AGNEWS_SESSION_STARTED"
"""When the session began: seconds since 1970, or a time such as 2026-11-25T08:00Z."""


@dataclass(frozen=True, slots=True)
class SessionAge:
    """`seconds` since the session began, and where that is known from."""

    seconds: float
    source: str
    is_estimate: bool


def session_age(told: str | None = None, *, root: Path = Path("/")) -> SessionAge | None:
    """This session's age; `told` is what the user says, before the environment's word.

    None where nothing tells. Raises ValueError for a told time that cannot be read.
    """
    now_s = time.time()
    for given, source in ((told, "as told"), (os.environ.get(ENV, ""), ENV)):
        if given:
            return SessionAge(max(0.0, now_s - _moment_s(given)), source, is_estimate=False)
    kernel = _started_s(os.environ.get("JPY_PARENT_PID", ""))
    first = _started_s("1")
    found = [
        (at_s, source)
        for at_s, source in ((kernel, "the kernel's start"), (first, "process 1's start"))
        if at_s is not None
    ]
    if found:
        at_s, source = min(found)
        return SessionAge(max(0.0, now_s - at_s), source, is_estimate=True)
    up_s = _uptime_s(root / "proc/uptime")
    return None if up_s is None else SessionAge(up_s, "/proc/uptime", is_estimate=True)


def _moment_s(given: str) -> float:
    from datetime import UTC, datetime

    try:
        seconds = float(given)
    except ValueError:
        moment = datetime.fromisoformat(given)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        seconds = moment.timestamp()
    if not math.isfinite(seconds):
        raise ValueError(f"not a time: {given!r}")
    return seconds


def _started_s(pid: str) -> float | None:
    if not pid.isdecimal():
        return None
    import psutil

    try:
        return float(psutil.Process(int(pid)).create_time())
    except (psutil.Error, OSError, OverflowError):
        return None


def _uptime_s(path: Path) -> float | None:
    try:
        return float(path.read_text("ascii").split()[0])
    except (OSError, ValueError, IndexError):
        return None
