"""Which process it was: its number alone may be another's by now, or means another elsewhere.

A number is given anew after a restart, and every container counts its own: two containers of one
host name have a process 7 each. So a number goes with its *place*, the start of the machine and the
PID namespace; of a process in another place nothing is known.
"""

from __future__ import annotations

from pathlib import Path

_INITIAL = "pid:[4026531836]"
"""The namespace that every machine begins with, whose number Linux fixes (PROC_PID_INIT_INO)."""


def boot_id() -> str:
    """Names the machine's last start; empty where the system does not tell."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    except OSError:
        return ""


def pid_namespace(pid: int | None = None) -> str | None:
    """Names the PID namespace of a process, or ours: within it process numbers mean something.

    Empty for the one that a machine begins with, and where the system tells of none. None for a
    process that is gone or another user's.
    """
    own = _namespace("self")
    if pid is None or own is None:
        return own or ""
    return _namespace(str(pid))


def _namespace(process: str) -> str | None:
    try:
        found = str(Path(f"/proc/{process}/ns/pid").readlink())
    except OSError:
        return None
    return "" if found == _INITIAL else found


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
