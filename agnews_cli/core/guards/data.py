"""The guards of the data, in the order in which they speak; a new one is a function and a line."""

from __future__ import annotations

from typing import Final

from agnews_cli.core.guards import guard, labels, leaks, parts
from agnews_cli.core.guards.guard import Guard
from agnews_cli.core.guards.seen import DataSeen
from agnews_cli.core.machine.finding import Finding

DATA_GUARDS: Final = (
    Guard("leaks", 1, leaks.leaks),
    Guard("repeats", 1, leaks.repeats),
    Guard("label conflicts", 1, labels.conflicts),
    Guard("spellings", 1, labels.spellings),
    Guard("classes", 1, labels.classes),
    Guard("giveaways", 1, labels.giveaways),
    Guard("label errors", 1, labels.suspects),
    Guard("shifts", 1, parts.shifts),
    Guard("dates", 1, parts.dates),
    Guard("groups", 1, parts.groups),
    Guard("capacity", 1, parts.capacity),
)


def findings(seen: DataSeen) -> tuple[Finding, ...]:
    """What every guard says."""
    return guard.findings(DATA_GUARDS, seen)
