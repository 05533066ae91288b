"""From an instance to a plan: many dispatches, the best of them, and how good it can be at most.

The first dispatches are plain list scheduling by the critical path; then targets between the lower
bound and the best so far; then walks of small changes, from the best and from each plain one in
turn, as many as `effort` allows. A walk goes on from what is no later than where it was some tries
ago (late acceptance: Burke and Bykov, 2017, European Journal of Operational Research 258), so that
it crosses the many plans that end at the same time. The search ends early where the bound is met.
Earliest finish wins; finishes within `equal_s` of each other are equal, and then fewer sessions
win, then less quota.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import cycle

from agnews_cli.core.plan.bound import lower_bound_s
from agnews_cli.core.plan.changes import (
    Changes,
    Dice,
    exceptions,
    frugal,
    plain,
    with_one_less,
    with_targets,
)
from agnews_cli.core.plan.dispatch import Dispatch
from agnews_cli.core.plan.instance import BadInstance, Instance, problems
from agnews_cli.core.plan.numbered import Numbered
from agnews_cli.core.plan.rules import Rules
from agnews_cli.core.plan.schedule import Schedule

EFFORT = 60_000
"""Jobs looked at, over all tries: under a second for 200 jobs."""
_EQUAL_S = 60.0
_NEAR = 0.002
_WALK, _MEMORY = 60, 20
"""Tries of a walk, and how many tries ago it compares itself with."""

_Found = tuple[Rules, Schedule]


@dataclass(frozen=True, slots=True)
class PlannedSchedule:
    """A schedule, the time before which none can end, and how many were tried."""

    schedule: Schedule
    lower_bound_s: float
    tries: int

    @property
    def finish_s(self) -> float:
        return self.schedule.finish_s

    @property
    def gap(self) -> float:
        """How much later than the bound, as a share; 0 means no plan is faster."""
        if not self.lower_bound_s:
            return 0.0
        return max(0.0, self.finish_s / self.lower_bound_s - 1)


def plan(
    instance: Instance,
    rng: Dice,
    *,
    effort: int = EFFORT,
    equal_s: float = _EQUAL_S,
    near: float = _NEAR,
) -> PlannedSchedule:
    """The best schedule found; the same for the same `rng`. Raises BadInstance.

    `near`: the search ends within this share of the lower bound.
    """
    wrong = problems(instance)
    if wrong:
        raise BadInstance(wrong)
    graph = Numbered(instance)
    search = _Search(graph, lower_bound_s(graph), rng, effort, equal_s, near)
    return search.best()


def bound_s(instance: Instance) -> float:
    """Seconds from now before which no schedule ends; nothing is searched."""
    return lower_bound_s(Numbered(instance))


class _Search:
    def __init__(
        self, graph: Numbered, bound_s: float, rng: Dice, effort: int, equal_s: float, near: float
    ) -> None:
        self._graph, self._bound_s = graph, bound_s
        self._changes = Changes(graph, bound_s, rng)
        self._left, self._equal_s, self._near = effort, equal_s, near
        self._tries = 0
        self._best: _Found | None = None

    def best(self) -> PlannedSchedule:
        starts: list[_Found] = []
        for choice in plain(self._graph):
            if self._left > 0 or self._best is None:
                found = self._try(choice, math.inf)
                starts += [found] if found else []
        if self._best is None:
            empty = Schedule((), tuple(job.name for job in self._graph.jobs))
            return PlannedSchedule(
                empty if self._graph.jobs else Schedule(()), self._bound_s, self._tries
            )
        plainest, schedule = self._best
        for choice in with_targets(plainest, self._bound_s, schedule.finish_s):
            if self._goes_on():
                self._try(choice, self._best[1].finish_s)
        starts.sort(key=lambda found: found[1].finish_s)
        for start in cycle(starts):
            if not self._goes_on():
                break
            self._walk(self._best)
            self._walk(start)
        self._best = self._simplified(self._best)
        for choice in frugal(*self._best):
            self._try(choice, self._best[1].finish_s)
        return PlannedSchedule(self._best[1], self._bound_s, self._tries)

    def _walk(self, at: _Found) -> None:
        finish_s = at[1].finish_s
        memory = [finish_s] * _MEMORY
        for n in range(_WALK):
            if not self._goes_on():
                return
            latest_s = max(finish_s, memory[n % _MEMORY])
            found = self._try(self._changes.one(*at), latest_s)
            if found is not None and found[1].finish_s <= latest_s:
                at, finish_s = found, found[1].finish_s
            memory[n % _MEMORY] = finish_s

    def _simplified(self, at: _Found) -> _Found:
        """Without the exceptions that gain nothing: no job waits for a walk's whim."""
        for exception in exceptions(at[0]):
            finish_s = at[1].finish_s
            found = self._try(with_one_less(at[0], exception), finish_s)
            if found is None or found[1].finish_s > finish_s + 1e-6:
                continue
            if self._cost(found[1]) <= self._cost(at[1]):
                at = found
        return at

    def _try(self, choice: Rules, latest_s: float) -> _Found | None:
        """What it gives, unless that is later than `latest_s`; kept if it is the best."""
        dispatch = Dispatch(self._graph, choice, latest_s + self._equal_s)
        schedule = dispatch.schedule()
        self._tries += 1
        self._left -= dispatch.work + 10
        if schedule is None:
            return None
        if self._best is None or self._is_better(schedule, self._best[1]):
            self._best = (choice, schedule)
        return choice, schedule

    def _goes_on(self) -> bool:
        assert self._best is not None
        return self._left > 0 and self._best[1].finish_s > self._bound_s * (1 + self._near)

    def _is_better(self, new: Schedule, old: Schedule) -> bool:
        if abs(new.finish_s - old.finish_s) > self._equal_s:
            return new.finish_s < old.finish_s
        return self._cost(new) < self._cost(old)

    def _cost(self, schedule: Schedule) -> tuple[int, float, int, float]:
        """Sessions that take time or quota to open, quota, parts, and how late all of it is."""
        dear = {r.name for r in self._graph.resources if r.startup_s or r.quota is not None}
        used_s = sum(schedule.used_s(r.name) for r in self._graph.resources if r.quota is not None)
        ends_s = [part.ends_s for session in schedule.sessions for part in session.parts]
        opened = sum(session.resource in dear for session in schedule.sessions)
        return opened, round(used_s, 3), len(ends_s), round(sum(ends_s), 3)
