"""Which process it was: its number alone may be another's by now."""

from __future__ import annotations

from pathlib import Path


def start_ticks(pid: int) -> str | None:
    """Ticks from the machine's start to the process's: no clock that is set moves them.

    None for a process that is gone, or dead and not yet reaped, and where there is no /proc.
    """
    try:
        facts = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
    except OSError:
        return None
    fields = facts.rpartition(")")[2].split()  # the name before may hold anything
    return None if not fields or fields[0] in "ZX" else fields[19]
