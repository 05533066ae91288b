"""From an instance to a plan: many dispatches, the best of them, and how good it can be at most.

The first dispatches are plain list scheduling by the critical path (each resource alone, fewer
places, with and without waiting for a faster device); then targets between the lower bound and the
best so far; then small changes to the best, as many as `effort` allows. The search ends early where
the bound is met. Earliest finish wins; finishes within `equal_s` of each other are equal, and then
fewer sessions win, then less quota.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Protocol

from agnews_cli.core.plan.bound import lower_bound_s
from agnews_cli.core.plan.dispatch import Choice, Dispatch
from agnews_cli.core.plan.graph import Graph
from agnews_cli.core.plan.instance import BadInstance, Instance, problems
from agnews_cli.core.plan.schedule import Schedule

EFFORT = 20_000
"""Jobs looked at, over all tries: under a second for 200 jobs."""
_EQUAL_S = 60.0
_NEAR = 0.002


class Rng(Protocol):
    def random(self) -> float: ...


@dataclass(frozen=True, slots=True)
class Plan:
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
    rng: Rng,
    *,
    effort: int = EFFORT,
    equal_s: float = _EQUAL_S,
    near: float = _NEAR,
) -> Plan:
    """The best schedule found; the same for the same `rng`. Raises BadInstance.

    `near`: the search ends within this share of the lower bound.
    """
    wrong = problems(instance)
    if wrong:
        raise BadInstance(wrong)
    graph = Graph(instance)
    search = _Search(graph, lower_bound_s(graph), rng, effort, equal_s, near)
    return search.best()


class _Search:
    def __init__(
        self,
        graph: Graph,
        bound_s: float,
        rng: Rng,
        effort: int,
        equal_s: float,
        near: float,
    ) -> None:
        self._graph, self._bound_s, self._rng = graph, bound_s, rng
        self._left, self._equal_s, self._near = effort, equal_s, near
        self._tries = 0
        self._best: tuple[Choice, Schedule] | None = None

    def best(self) -> Plan:
        for choice in self._plain():
            if self._left > 0 or self._best is None:
                self._try(choice)
        for choice in self._targets():
            self._try(choice)
        while self._left > 0 and not self._is_proven():
            self._try(self._changed())
        for choice in self._frugal():
            self._try(choice)
        if self._best is None:
            empty = Schedule((), tuple(job.name for job in self._graph.jobs))
            return Plan(empty if self._graph.jobs else Schedule(()), self._bound_s, self._tries)
        return Plan(self._best[1], self._bound_s, self._tries)

    def _try(self, choice: Choice) -> None:
        give_up_s = math.inf
        if self._best is not None:
            give_up_s = self._best[1].finish_s + self._equal_s
        dispatch = Dispatch(self._graph, choice, give_up_s)
        found = dispatch.schedule()
        self._tries += 1
        self._left -= dispatch.work + 10
        if found is not None and (self._best is None or self._is_better(found, self._best[1])):
            self._best = (choice, found)

    def _is_better(self, new: Schedule, old: Schedule) -> bool:
        if abs(new.finish_s - old.finish_s) > self._equal_s:
            return new.finish_s < old.finish_s
        return self._cost(new) < self._cost(old)

    def _cost(self, schedule: Schedule) -> tuple[int, float, int, float]:
        used_s = sum(schedule.used_s(r.name) for r in self._graph.resources if r.quota is not None)
        parts = sum(len(session.parts) for session in schedule.sessions)
        return len(schedule.sessions), round(used_s, 3), parts, round(schedule.finish_s, 3)

    def _is_proven(self) -> bool:
        return self._best is not None and self._best[1].finish_s <= self._bound_s * (1 + self._near)

    # ---- what to try

    def _plain(self) -> Iterator[Choice]:
        graph = self._graph
        most = tuple(r.sessions_at_once for r in graph.resources)
        base = Choice(urgency=(1.0,) * len(graph.jobs), places=most)
        yield base
        yield replace(base, waits=False)
        scarce = frozenset(r for r, it in enumerate(graph.resources) if it.quota is not None)
        if scarce:
            yield replace(base, first_come=True)
            yield replace(base, patient=scarce)
            yield replace(base, patient=scarce, waits=False)
        yield replace(base, renews=True)
        for r, count in enumerate(most):
            if count > 1:
                yield replace(base, places=(*most[:r], count - 1, *most[r + 1 :]))
        if len(most) > 1:
            for r in range(len(most)):
                banned = frozenset((i, r) for i in range(len(graph.jobs)))
                yield replace(base, banned=banned)

    def _targets(self) -> Iterator[Choice]:
        if self._best is None or self._is_proven():
            return
        choice, schedule = self._best
        low, high = self._bound_s, schedule.finish_s
        for share in (0.0, 0.1, 0.25, 0.4, 0.6, 0.8, 1.0):
            for waits in (True, False):
                yield replace(choice, target_s=low + share * (high - low), waits=waits)
                if self._left <= 0 or self._is_proven():
                    return

    def _changed(self) -> Choice:
        """The best choice with one or two things changed."""
        assert self._best is not None
        choice, schedule = self._best
        jobs, resources = len(self._graph.jobs), len(self._graph.resources)
        for _ in range(1 + self._below(2)):
            what = self._below(8)
            if what == 0:
                choice = replace(choice, waits=not choice.waits)
            elif what == 4:
                choice = replace(choice, renews=not choice.renews)
            elif what == 5:
                choice = replace(choice, first_come=not choice.first_come)
            elif what == 1:
                span_s = schedule.finish_s - self._bound_s
                at_s = self._bound_s + self._rng.random() * 1.05 * span_s
                choice = replace(choice, target_s=math.inf if self._below(6) == 0 else at_s)
            elif what == 2 and resources > 1:
                pair = (self._below(jobs), self._below(resources))
                choice = replace(choice, banned=choice.banned ^ {pair})
            elif what == 3:
                choice = replace(choice, patient=choice.patient ^ {self._below(resources)})
            else:
                urgency = list(choice.urgency)
                for _ in range(1 + jobs // 20):
                    urgency[self._below(jobs)] = 4.0 ** (2 * self._rng.random() - 1)
                choice = replace(choice, urgency=tuple(urgency))
        return choice

    def _below(self, most: int) -> int:
        return min(most - 1, int(self._rng.random() * most))

    def _frugal(self) -> Iterator[Choice]:
        """The same finish with fewer sessions."""
        if self._best is None or len(self._best[1].sessions) < 2:
            return
        choice, schedule = self._best
        yield replace(choice, saves=True, target_s=schedule.finish_s)
        for r, count in enumerate(choice.places):
            if count > 1:
                places = (*choice.places[:r], count - 1, *choice.places[r + 1 :])
                yield replace(choice, places=places, target_s=schedule.finish_s)
