"""How machines die: distributions that `benchmarks/goodput.py` and tests draw lives from.

Each is a `Lifetimes` (`agnews_cli.core.saving.deaths`). All ages are seconds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from agnews_cli.core.saving.deaths import Rng


@dataclass(frozen=True, slots=True)
class Weibull:
    """A rate that falls (shape below 1) or rises with age."""

    shape: float
    scale_s: float

    def alive(self, age_s: float) -> float:
        return math.exp(-((max(0.0, age_s) / self.scale_s) ** self.shape))

    def draw(self, rng: Rng) -> float:
        return float(self.scale_s * (-math.log(1.0 - rng.random())) ** (1 / self.shape))


@dataclass(frozen=True, slots=True)
class Bathtub:
    """F(t) = A (1 - exp(-t/tau1) + exp((t-b)/tau2)): Kadupitiya, Jadhao, Sharma, HPDC 2020.

    Many die young, many near the provider's limit `b_s`, few between. What is left at the end of
    the form dies at the limit.
    """

    share: float
    young_s: float
    old_s: float
    limit_s: float

    def alive(self, age_s: float) -> float:
        if age_s <= 0:
            return 1.0
        if age_s >= self.limit_s:
            return 0.0
        gone = 1 - math.exp(-age_s / self.young_s) + math.exp((age_s - self.limit_s) / self.old_s)
        return max(0.0, 1 - self.share * gone)

    def draw(self, rng: Rng) -> float:
        wanted, low, high = rng.random(), 0.0, self.limit_s
        if self.alive(high - 1e-6) >= wanted:
            return self.limit_s
        while high - low > 0.5:
            middle = (low + high) / 2
            low, high = (middle, high) if self.alive(middle) > wanted else (low, middle)
        return high


@dataclass(frozen=True, slots=True)
class Rarely:
    """A known deadline ends most sessions; `share` of them die at a random moment before it."""

    share: float
    deadline_s: float

    def alive(self, age_s: float) -> float:
        return 1.0 - self.share * min(1.0, max(0.0, age_s) / self.deadline_s)

    def draw(self, rng: Rng) -> float:
        at = rng.random()
        return at / self.share * self.deadline_s if at < self.share else math.inf
