"""The processes of a command that a benchmark started."""

from __future__ import annotations

from typing import Any


def family(pid: int) -> list[Any]:
    """The command and everything that it started."""
    import psutil

    try:
        command = psutil.Process(pid)
        return [command, *command.children(recursive=True)]
    except psutil.Error:
        return []
