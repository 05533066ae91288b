"""No schedule ends earlier than this: bounds that hold whatever the order of the jobs.

- *Path*: jobs that wait for each other run one after the other, each at its best speed, with the
  breaks that the longest session forces on it.
- *Room*: what is asked must fit into what the resources can give by then (start-ups, caps, places
  and quota taken off). With a price on each resource, every job costs at least its cheapest
  place, so for any prices the total bounds the time; a small grid of prices is tried. The same
  for the jobs that have as much to come after them, and for the longest path alone on one card.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import product

from agnews_cli.core.plan.instance import Resource
from agnews_cli.core.plan.numbered import Numbered

_INF = math.inf
_FINE = (0.0, 0.1, 0.25, 0.4, 0.6, 0.8, 1.0)
_COARSE = (0.0, 0.3, 0.6, 1.0)
_MANY = 50


def lower_bound_s(graph: Numbered) -> float:
    """Seconds from now before which the last job cannot end, by any schedule."""
    gone = graph.unplaceable()
    jobs = [i for i in range(len(graph.jobs)) if i not in gone]
    if not jobs:
        return 0.0
    shortest = [_path_s(graph, i) for i in range(len(graph.jobs))]
    heads, tails = _heads(graph, shortest), _tails(graph, shortest)
    best = max(heads[i] + shortest[i] + tails[i] for i in jobs)
    prices = _prices(graph)
    for tail_s in _levels([tails[i] for i in jobs]):
        late = [i for i in jobs if tails[i] >= tail_s]
        best = max(best, tail_s + _room_s(graph, late, prices, best - tail_s))
    path = _longest_path(graph, shortest, tails, jobs)
    return max(best, _room_s(graph, path, prices, best, one_card=True))


def _first_s(graph: Numbered, r: int) -> float:
    """When the first work can begin on a resource."""
    resource = graph.resources[r]
    opens_s = resource.from_s
    if resource.quota is not None:
        for begins_s, ends_s, most_s in resource.quota.periods():
            if most_s > 0 and ends_s > opens_s:
                opens_s = max(opens_s, begins_s)
                break
            if begins_s > opens_s and most_s <= 0:
                return _INF
    return opens_s + resource.startup_s


def _path_s(graph: Numbered, i: int) -> float:
    """The least a job takes from its beginning to its end."""
    job, homes = graph.jobs[i], graph.home[i]
    if not homes:
        return 0.0
    a_session = 1.0
    for r in homes:
        resource = graph.resources[r]
        room_s = resource.session_s - resource.startup_s - job.overhead_s
        step_s = graph.step_s[i][r]
        a_session = max(a_session, room_s / step_s if step_s else _INF)
    breaks = 0 if a_session >= job.steps else math.ceil(job.steps / math.floor(a_session)) - 1
    break_s = job.overhead_s
    if len(homes) == 1 and graph.resources[homes[0]].sessions_at_once == 1:
        resource = graph.resources[homes[0]]
        break_s += resource.startup_s + resource.rest_s
    return job.steps * graph.step_s[i][homes[0]] + job.overhead_s + breaks * break_s


def _heads(graph: Numbered, shortest: Sequence[float]) -> list[float]:
    heads = [0.0] * len(graph.jobs)
    for i in graph.order:
        first_s = min((_first_s(graph, r) for r in graph.home[i]), default=0.0)
        heads[i] = max([first_s, *(heads[j] + shortest[j] for j in graph.before[i])])
    return heads


def _tails(graph: Numbered, shortest: Sequence[float]) -> list[float]:
    tails = [0.0] * len(graph.jobs)
    for i in reversed(graph.order):
        tails[i] = max((shortest[j] + tails[j] for j in graph.after[i]), default=0.0)
    return tails


def _levels(tails: Sequence[float]) -> list[float]:
    found = sorted(set(tails))
    most = 6 if len(tails) < _MANY else 3
    return found if len(found) <= most else [found[len(found) * k // most] for k in range(most)]


def _longest_path(
    graph: Numbered, shortest: Sequence[float], tails: Sequence[float], jobs: Sequence[int]
) -> list[int]:
    at = max(jobs, key=lambda i: shortest[i] + tails[i])
    path = [at]
    while graph.after[at]:
        at = max(graph.after[at], key=lambda j: shortest[j] + tails[j])
        path.append(at)
    return path


def _prices(graph: Numbered) -> list[tuple[float, ...]]:
    """Prices a second: as fast as the resource is, times a factor; for many, one is varied."""
    speeds = []
    for r in range(len(graph.resources)):
        ratios = sorted(
            graph.step_s[i][homes[0]] / graph.step_s[i][r] if graph.step_s[i][r] else 1.0
            for i, homes in enumerate(graph.home)
            if r in homes
        )
        speeds.append(ratios[len(ratios) // 2] if ratios else 0.0)
    grid = _FINE if len(graph.jobs) < _MANY else _COARSE
    factors: list[tuple[float, ...]] = []
    if len(speeds) <= 3:  # only ratios matter: the dearest costs 1
        factors = [f for f in product(grid, repeat=len(speeds)) if max(f) == 1.0]
    else:
        ones = (1.0,) * len(speeds)
        factors.append(ones)
        for r in range(len(speeds)):
            factors += [(*ones[:r], f, *ones[r + 1 :]) for f in grid if f != 1]
            factors.append(tuple(float(k == r) for k in range(len(speeds))))
    return [tuple(f * v for f, v in zip(factor, speeds, strict=True)) for factor in factors]


def _room_s(
    graph: Numbered,
    jobs: Sequence[int],
    prices: Sequence[tuple[float, ...]],
    at_least_s: float,
    *,
    one_card: bool = False,
) -> float:
    """The earliest time by which the resources give what `jobs` ask, under the worst prices."""
    best = max(0.0, at_least_s)
    needs = [
        [(r, graph.jobs[i].steps * graph.step_s[i][r] + graph.jobs[i].overhead_s) for r in homes]
        for i in jobs
        if (homes := graph.home[i])
    ]
    for price in prices:
        asked = sum(min([price[r] * needed_s for r, needed_s in need]) for need in needs)
        if asked <= 0:
            continue
        best = max(best, _when(graph.resources, price, asked, best, one_card))
    return best


def _when(
    resources: Sequence[Resource],
    price: Sequence[float],
    asked: float,
    from_s: float,
    one_card: bool,
) -> float:
    def given(by_s: float) -> float:
        return sum(
            p * _card_seconds(r, by_s, one_card) for p, r in zip(price, resources, strict=True) if p
        )

    low, high = from_s, max(1.0, 2 * from_s)
    if given(low) >= asked:
        return low
    for _ in range(60):
        if given(high) >= asked:
            break
        low, high = high, 2 * high
    else:
        return from_s  # these prices say nothing
    while high - low > 1e-4 + 1e-9 * high:
        middle = (low + high) / 2
        low, high = (low, middle) if given(middle) >= asked else (middle, high)
    return low


def _card_seconds(resource: Resource, by_s: float, one_card: bool) -> float:
    """The most seconds of parts a resource can hold by then."""
    wall_s = by_s - resource.from_s
    if wall_s <= 0:
        return 0.0
    places = 1 if one_card else resource.sessions_at_once
    cards = 1 if one_card else resource.cards
    # One path may hop between two places, and so hide start-ups and rests.
    hides = one_card and resource.sessions_at_once > 1
    startup_s = 0.0 if hides else resource.startup_s
    rest_s = 0.0 if hides else resource.rest_s
    room_s = places * _productive_s(wall_s, resource.session_s, startup_s, rest_s)
    if hides:
        room_s = max(0.0, room_s - resource.startup_s)
    if resource.quota is not None:
        used_s = 0.0
        for begins_s, ends_s, most_s in resource.quota.periods():
            if begins_s >= by_s:
                break
            open_s = max(0.0, min(ends_s, by_s) - max(begins_s, resource.from_s))
            used_s += min(most_s, resource.sessions_at_once * open_s)
        room_s = min(room_s, _productive_s(used_s, resource.session_s, startup_s, 0.0))
    return cards * room_s


def _productive_s(wall_s: float, session_s: float, startup_s: float, rest_s: float) -> float:
    if session_s == _INF:
        return max(0.0, wall_s - startup_s)
    full, rest = divmod(wall_s, session_s + rest_s)
    return full * max(0.0, session_s - startup_s) + max(0.0, min(rest, session_s) - startup_s)
