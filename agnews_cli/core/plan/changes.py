"""What the search tries: plain choices, targets, small changes to a good one, fewer sessions."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Protocol, TypeVar

from agnews_cli.core.plan.numbered import Numbered
from agnews_cli.core.plan.rules import Directive, Rules, Shut
from agnews_cli.core.plan.schedule import Part, Schedule

T = TypeVar("T")

_MOST_PERIODS = 50
_SLOW, _WORTH = 2.0, 0.2
"""So many times as long as on the best is slow, where that is so much of the whole work."""
_DIRECTED = 0.6
_ANYWHEN = 0.3
"""Shares of changes that direct a part or a session; of moments that are no event's."""


class Dice(Protocol):
    def random(self) -> float: ...


def plain(graph: Numbered) -> Iterator[Rules]:
    """List scheduling by the critical path, with each rule by itself."""
    most = tuple(r.sessions_at_once for r in graph.resources)
    base = Rules(urgency=(1.0,) * len(graph.jobs), places=most)
    yield base
    yield replace(base, waits=False)
    scarce = frozenset(_scarce(graph))
    if scarce:
        yield replace(base, first_come=True)
        yield replace(base, patient=scarce)
        yield replace(base, patient=scarce, waits=False)
    yield replace(base, renews=True)
    for r, count in enumerate(most):
        if count > 1:
            yield replace(base, places=(*most[:r], count - 1, *most[r + 1 :]))
    slow = frozenset(_slow(graph))
    if slow:
        yield replace(base, banned=slow)
    if len(most) > 1:
        for r in range(len(most)):
            banned = frozenset((i, r) for i in range(len(graph.jobs)))
            yield replace(base, banned=banned)


def with_targets(choice: Rules, earliest_s: float, finish_s: float) -> Iterator[Rules]:
    """Deadlines from the earliest that there could be to the finish that is known."""
    for share in (0.0, 0.1, 0.25, 0.4, 0.6, 0.8, 1.0):
        for waits in (True, False):
            target_s = earliest_s + share * (finish_s - earliest_s)
            yield replace(choice, target_s=target_s, waits=waits)


def frugal(choice: Rules, schedule: Schedule) -> Iterator[Rules]:
    """The same finish with fewer sessions."""
    if len(schedule.sessions) < 2:
        return
    yield replace(choice, saves=True, target_s=schedule.finish_s)
    for r, count in enumerate(choice.places):
        if count > 1:
            places = (*choice.places[:r], count - 1, *choice.places[r + 1 :])
            yield replace(choice, places=places, target_s=schedule.finish_s)


def with_one_less(choice: Rules, exception: object) -> Rules:
    """Without one of its `exceptions`."""
    directives = {key: it for key, it in choice.directives.items() if key != exception}
    shut = tuple(it for it in choice.shut if it != exception)
    return replace(choice, directives=directives, shut=shut)


def exceptions(choice: Rules) -> tuple[object, ...]:
    """What binds single parts and sessions."""
    return (*choice.directives, *choice.shut)


def _slow(graph: Numbered) -> Iterator[tuple[int, int]]:
    """(job, resource) where a job takes several times as long as on its best: a training on a CPU
    beside a GPU, but no evaluation of a minute."""
    whole_s = sum(graph.shortest_s)
    for i, homes in enumerate(graph.home):
        for r in homes:
            takes_s = graph.jobs[i].steps * graph.step_s[i][r]
            if takes_s > max(_SLOW * graph.shortest_s[i], _WORTH * whole_s):
                yield i, r


class Changes:
    """Small random changes; the same for the same `rng`."""

    def __init__(self, graph: Numbered, earliest_s: float, rng: Dice) -> None:
        self._graph, self._earliest_s, self._rng = graph, earliest_s, rng
        self._number = {resource.name: r for r, resource in enumerate(graph.resources)}
        self._scarce = tuple(_scarce(graph))

    def one(self, choice: Rules, schedule: Schedule) -> Rules:
        """`choice`, of which `schedule` came, with one or two things changed."""
        for _ in range(1 + self._below(2)):
            if self._rng.random() >= _DIRECTED:
                choice = self._with_another_rule(choice, schedule)
            elif self._below(5):
                choice = self._with_a_directive(choice, schedule)
            else:
                choice = self._with_a_later_session(choice, schedule)
        return choice

    # ---- rules

    def _with_another_rule(self, choice: Rules, schedule: Schedule) -> Rules:
        jobs, resources = len(self._graph.jobs), len(self._graph.resources)
        what = self._below(8)
        if what == 0:
            return replace(choice, waits=not choice.waits)
        if what == 1:
            return replace(choice, renews=not choice.renews)
        if what == 2:
            return replace(choice, first_come=not choice.first_come)
        if what == 3:
            span_s = schedule.finish_s - self._earliest_s
            at_s = self._earliest_s + self._rng.random() * 1.05 * span_s
            return replace(choice, target_s=math.inf if self._below(6) == 0 else at_s)
        if what == 4 and self._scarce:
            return replace(choice, patient=choice.patient ^ {self._pick(self._scarce)})
        if what == 5 and resources > 1:
            pair = (self._below(jobs), self._below(resources))
            return replace(choice, banned=choice.banned ^ {pair})
        urgency = list(choice.urgency)
        for _ in range(1 + jobs // 20):
            urgency[self._below(jobs)] = 4.0 ** (2 * self._rng.random() - 1)
        return replace(choice, urgency=tuple(urgency))

    # ---- exceptions

    def _with_a_directive(self, choice: Rules, schedule: Schedule) -> Rules:
        """One part runs elsewhere, is cut short, begins later, or is free again."""
        parts = _parts(schedule)
        at = self._below(len(parts))
        part, resource = parts[at]
        i = self._graph.number[part.job]
        key = (i, sum(earlier.job == part.job for earlier, _ in parts[:at]))
        directives = dict(choice.directives)
        directive = directives.pop(key, None)
        elsewhere = [r for r in self._graph.home[i] if r != self._number[resource]]
        can = ["hold"]
        can += ["free"] if directive is not None else []
        can += ["move"] if elsewhere else []
        can += ["cut"] if self._graph.jobs[i].is_divisible and part.steps > 1 else []
        what, directive = self._pick(can), directive or Directive()
        if what == "move":
            directives[key] = replace(directive, resource=self._pick(elsewhere))
        elif what == "cut":
            directives[key] = replace(directive, steps=1 + self._below(part.steps - 1))
        elif what == "hold":
            after_s = 0.0 if directive.from_s else part.begins_s
            directives[key] = replace(directive, from_s=self._moment(after_s, schedule))
        return replace(choice, directives=directives)

    def _with_a_later_session(self, choice: Rules, schedule: Schedule) -> Rules:
        """One session is opened later, or as early as it likes again."""
        if choice.shut and self._below(2):
            at = self._below(len(choice.shut))
            others = (*choice.shut[:at], *choice.shut[at + 1 :])
            if self._below(2):
                return replace(choice, shut=others)
            resource, from_s = choice.shut[at].resource, choice.shut[at].from_s
        else:
            session, others = self._pick(schedule.sessions), choice.shut
            resource, from_s = self._number[session.resource], session.begins_s
        shut = Shut(resource, from_s, self._moment(from_s, schedule))
        return replace(choice, shut=(*others, shut))

    def _moment(self, after_s: float, schedule: Schedule) -> float:
        """A time from which on to begin: any, one at which something happens, one so long before or
        after it as something takes, or one from which the quota just lasts until it returns."""
        finish_s = schedule.finish_s
        anywhen_s = after_s + self._rng.random() * (finish_s - after_s)
        if self._rng.random() < _ANYWHEN:
            return anywhen_s
        sessions = schedule.sessions
        parts = [p for session in sessions for p in session.parts]
        periods = self._periods(finish_s)
        times = [s for p in parts for s in (p.begins_s, p.ends_s)]
        times += [s.begins_s for s in sessions] + [ends_s for ends_s, _ in periods]
        lengths = [p.ends_s - p.begins_s for p in parts] + [s.seconds for s in sessions]
        for resource in self._graph.resources:
            lengths += [resource.startup_s, resource.rest_s]
        for _ in range(20):
            shift_s = (self._below(3) - 1) * self._pick(lengths)
            if periods and self._below(4) == 0:
                ends_s, quota_s = self._pick(periods)
                at_s = ends_s - (quota_s + shift_s) / (1 + self._below(2))
            else:
                at_s = self._pick(times) + shift_s
            if after_s < at_s < finish_s:
                return at_s
        return anywhen_s

    def _periods(self, until_s: float) -> list[tuple[float, float]]:
        """(end, quota) of each resource's periods that end by then."""
        found: list[tuple[float, float]] = []
        for resource in self._graph.resources:
            if resource.quota is None:
                continue
            for _, ends_s, quota_s in resource.quota.periods():
                if ends_s >= until_s or len(found) >= _MOST_PERIODS:
                    break
                found.append((ends_s, quota_s))
        return found

    def _pick(self, things: Sequence[T]) -> T:
        return things[self._below(len(things))]

    def _below(self, most: int) -> int:
        return min(most - 1, int(self._rng.random() * most))


def _parts(schedule: Schedule) -> list[tuple[Part, str]]:
    """All parts and their resources, in the order in which they begin."""
    found = [(part, session.resource) for session in schedule.sessions for part in session.parts]
    return sorted(found, key=lambda pair: pair[0].begins_s)


def _scarce(graph: Numbered) -> Iterator[int]:
    """The resources with a quota."""
    return (r for r, resource in enumerate(graph.resources) if resource.quota is not None)
