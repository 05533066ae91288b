"""How sessions end, learned from sessions, and how often to save against that.

A session ends at its deadline `D`, if nothing ends it before. `Hazard.alive` is the share that is
still alive at an age; from few ends there is one rate (with a prior), from fifty on a rate for each
part of the session's life (the life-table estimate, censored sessions counted as long as they
lived). Young, stable and old machines die at different rates (Kadupitiya et al. 2020), and
one rate for all saves too seldom in youth and age, too often between.

`saves` is the dynamic programme over the age: V(a) = max over w of
[S(a+w+C+L) · w + S(a+w+C) · V(a+w+C)] / S(a), V = 0 at the deadline, where training stands still
for C in each save, and what is saved counts when it has been uploaded, L later. For one rate and
L = 0 it agrees with Daly's interval and one last save fitted to the deadline.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from agnews_cli.core.hours.lifetime import PRIOR_S
from agnews_cli.core.saving.interval import daly

ENOUGH_ENDS = 50
"""So many random ends make a rate for each bin better than one for all."""
_BINS = 8


@dataclass(frozen=True, slots=True)
class Hazard:
    """A hazard that is constant between `edges_s` (ages, the first 0); the last rate goes on."""

    edges_s: tuple[float, ...]
    rates: tuple[float, ...]

    def cumulative(self, age_s: float) -> float:
        """Integral of the hazard from birth; S = exp(-this)."""
        total = 0.0
        for k, rate in enumerate(self.rates):
            begins = self.edges_s[k]
            if age_s <= begins:
                break
            ends = self.edges_s[k + 1] if k + 1 < len(self.edges_s) else math.inf
            total += rate * (min(age_s, ends) - begins)
        return total

    def alive(self, age_s: float) -> float:
        """Share of sessions that live longer than `age_s`."""
        return math.exp(-self.cumulative(age_s))

    def rate_at(self, age_s: float) -> float:
        return self.rates[max(0, bisect_right(self.edges_s, age_s) - 1)]


def one_rate(lifetime_s: float) -> Hazard:
    return Hazard((0.0,), (1 / lifetime_s,))


def learn(lived: Sequence[tuple[float, bool]]) -> Hazard:
    """From sessions as (seconds held, whether a random end ended it).

    Bins hold equally many ends; each has half an end and the overall lifetime as a prior, so that
    no bin says that nothing can happen there.
    """
    ends = sorted(seconds for seconds, died in lived if died)
    lifetime_s = (sum(seconds for seconds, _ in lived) + PRIOR_S) / (len(ends) + 1)
    if len(ends) < ENOUGH_ENDS:
        return one_rate(lifetime_s)
    bins = min(_BINS + len(ends) // 100, 24)
    cuts = sorted({ends[len(ends) * k // bins] for k in range(1, bins)})
    edges = (0.0, *(cut for cut in cuts if cut > 0))
    rates = []
    for k, begins in enumerate(edges):
        until = edges[k + 1] if k + 1 < len(edges) else math.inf
        died = sum(begins <= seconds < until for seconds in ends)
        held_s = sum(max(0.0, min(seconds, until) - begins) for seconds, _ in lived)
        rates.append((died + 0.5) / (held_s + 0.5 * lifetime_s))
    return Hazard(edges, tuple(rates))


def saves(
    survival: Hazard,
    deadline_s: float,
    cost_s: float,
    *,
    begins_s: float = 0.0,
    upload_s: float = 0.0,
    most: int = 720,
) -> tuple[float, ...]:
    """Ages at which each save should be begun, the last so that it is there at the deadline.

    `begins_s`: the age at which training begins. `most`: ages looked at.
    """
    if deadline_s - begins_s <= cost_s + upload_s:
        return ()
    choice, grid_s = _programme(survival, deadline_s, cost_s, begins_s, upload_s, most)
    ages, k = [], 0
    while k < len(choice) and choice[k]:
        k += choice[k]
        ages.append(begins_s + k * grid_s - cost_s)
    return tuple(ages)


def _programme(
    survival: Hazard,
    deadline_s: float,
    cost_s: float,
    begins_s: float,
    upload_s: float,
    most: int,
) -> tuple[list[int], float]:
    """The best leap at each age, in steps of the grid and with its save; 0: no save pays."""
    span_s = deadline_s - upload_s - begins_s
    count = max(1, min(most, int(span_s / max(cost_s / 2, 1.0))))
    grid_s = span_s / count
    ages = [begins_s + k * grid_s for k in range(count + 1)]
    alive = [survival.alive(age) for age in ages]
    there = [survival.alive(age + upload_s) for age in ages] if upload_s else alive
    value, choice = [0.0] * (count + 1), [0] * (count + 1)
    least = max(1, math.ceil(cost_s / grid_s - 1e-9))
    for k in range(count - 1, -1, -1):
        # An interval longer than four times Daly's for the rate here is never the best, but for
        # the one that goes to the deadline.
        wide_s = 4 * (daly(cost_s, 1 / max(survival.rate_at(ages[k]), 1e-9)) + cost_s)
        last = min(count, k + max(int(wide_s / grid_s) + 2, least + 1))
        leaps = [*range(k + least, last + 1)]
        if last < count:
            leaps.append(count)
        best, best_leap = 0.0, 0
        for j in leaps:
            saved = there[j] * ((j - k) * grid_s - cost_s) + alive[j] * value[j]
            if saved > best:
                best, best_leap = saved, j - k
        value[k], choice[k] = (best / alive[k] if alive[k] > 0 else 0.0), best_leap
    return choice, grid_s
