"""How long machines live: what a simulation draws from.

A distribution gives the chance that a session lives longer than an age, from which lives are drawn
by inversion and the true hazard is read off. All ages are seconds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

from agnews_cli.core.saving.hazard import Hazard


class Rng(Protocol):
    def random(self) -> float: ...


class Lifetimes(Protocol):
    def alive(self, age_s: float) -> float:
        """Share of sessions that live longer than `age_s`."""
        ...

    def draw(self, rng: Rng) -> float:
        """The life of one session; infinity when only its deadline ends it."""
        ...


@dataclass(frozen=True, slots=True)
class Exponential:
    """No memory: the same rate at every age."""

    mean_s: float

    def alive(self, age_s: float) -> float:
        return math.exp(-max(0.0, age_s) / self.mean_s)

    def draw(self, rng: Rng) -> float:
        return -self.mean_s * math.log(1.0 - rng.random())


def true_survival(lifetimes: Lifetimes, deadline_s: float, bins: int = 400) -> Hazard:
    """The hazard of a distribution, on a fine grid up to the deadline."""
    width = deadline_s / bins
    edges = tuple(k * width for k in range(bins))
    alive = [max(1e-12, lifetimes.alive(k * width)) for k in range(bins + 1)]
    rates = tuple(
        max(0.0, math.log(alive[k] / alive[k + 1]) / width) if alive[k + 1] > 1e-12 else 1e3 / width
        for k in range(bins)
    )
    return Hazard(edges, rates)
