"""What a guard is, whatever it looks at."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from agnews_cli.core.machine.finding import Finding

Facts = TypeVar("Facts")


@dataclass(frozen=True, slots=True)
class Guard(Generic[Facts]):
    """A rule over what was measured. `layer`: 1 of data before training, 2 of training."""

    name: str
    layer: int
    look: Callable[[Facts], Iterable[Finding]]


def findings(guards: Iterable[Guard[Facts]], facts: Facts) -> tuple[Finding, ...]:
    """What every guard says."""
    return tuple(finding for guard in guards for finding in guard.look(facts))
