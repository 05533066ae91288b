"""The guards of the data, in the order in which they speak; a new one is a function and a line."""

from __future__ import annotations

from typing import Final

from agnews_cli.core.guards import labels, leaks, parts
from agnews_cli.core.guards.seen import DataGuard, DataSeen
from agnews_cli.core.machine.finding import Finding

DATA_GUARDS: Final = (
    DataGuard("leaks", leaks.leaks),
    DataGuard("repeats", leaks.repeats),
    DataGuard("label conflicts", labels.conflicts),
    DataGuard("spellings", labels.spellings),
    DataGuard("classes", labels.classes),
    DataGuard("giveaways", labels.giveaways),
    DataGuard("label errors", labels.suspects),
    DataGuard("shifts", parts.shifts),
    DataGuard("dates", parts.dates),
    DataGuard("groups", parts.groups),
    DataGuard("capacity", parts.capacity),
)


def findings(seen: DataSeen) -> tuple[Finding, ...]:
    """What every guard says."""
    return tuple(finding for guard in DATA_GUARDS for finding in guard.look(seen))
