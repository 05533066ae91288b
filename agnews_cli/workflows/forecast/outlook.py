"""What a run will take, told before it begins: time, sessions, quota, the day it is finished.

`agnews auto` says it at every start, so a plan is made anew after every session, from the speed
that the last one measured.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from agnews_cli.core.graph.graph import Graph
from agnews_cli.core.graph.shapes import Single
from agnews_cli.core.graph.tasks import tasks
from agnews_cli.core.machine import accelerator
from agnews_cli.core.machine.platform import Platform
from agnews_cli.core.plan import planner
from agnews_cli.core.plan.instance import Instance, Resource, Task
from agnews_cli.core.run.choose import Finish
from agnews_cli.core.run.cost import Cost, Costs, Pace, reading_s
from agnews_cli.core.run.dataset import Dataset
from agnews_cli.core.run.work import RunId, Train
from agnews_cli.core.text import duration
from agnews_cli.store.settings import limits
from agnews_cli.workflows.forecast.costs import Ground
from agnews_cli.workflows.forecast.offers import Market

_EFFORT = 300
_START_S = 15.0
"""A part begins with loading libraries and a model."""
_SAID_FROM_S = 10.0
"""Reading and evaluating that take less are not worth a word."""


def ahead(
    graph: Graph,
    single: Single,
    data: Dataset,
    platform: Platform,
    *,
    ground: Ground,
    left_s: float | None,
    now: datetime | None = None,
) -> tuple[str, ...]:
    """In words, of a graph of one model. `left_s`: of this session, None without an end."""
    costs, progress = ground.costs(graph, data, (single,)), ground.progress(graph, data)
    training = costs(graph[graph.place].work)
    is_tuned = single.preset.method.needs_weights
    device = accelerator.device(platform.accelerator) if is_tuned else "cpu"
    done = min(training.steps, int(progress.get(graph.place, 0.0) * training.steps))
    needs = training.takes(device, training.steps - done)
    if needs is None:
        name, model = platform.accelerator.name, single.name
        return (f"plan: how fast {name} trains {model} is not known before it does",)
    if done == training.steps:
        return ()
    beside_s, beside = _beside(graph, costs, data, device)
    first = f"plan: {_time(needs)}{beside}"
    if left_s is None:
        return (first,)
    overhead_s = beside_s + training.load_s + training.save_s
    now_steps = max(0, int((left_s - overhead_s) / training.step_s[device]))
    if now_steps >= training.steps - done:
        return (first, f"plan: it fits in this session, {duration.show(left_s)} of which are left")
    if limits.load(platform.name) is None:  # only the user said how long it lasts
        return (first, "plan: it does not fit in this session; agnews resume goes on in another")
    then = progress | {graph.place: (done + now_steps) / training.steps}
    rest = tasks(graph, costs, then)
    return (first, *_sessions(rest, platform, left_s, now or datetime.now(UTC)))


def term(
    graph: Graph,
    single: Single,
    data: Dataset,
    platform: Platform,
    *,
    ground: Ground,
    left_s: float,
    until_s: float,
    now: datetime | None = None,
) -> Finish | None:
    """When a graph of one model is finished here, over as many sessions as it takes; None where
    nobody knows how fast it is. `left_s`: of this session; `until_s`: when it should be."""
    costs, progress = ground.costs(graph, data, (single,)), ground.progress(graph, data)
    training = costs(graph[graph.place].work)
    device = accelerator.device(platform.accelerator)
    device = device if single.preset.method.needs_weights else "cpu"
    share = progress.get(graph.place, 0.0)
    whole = training.takes(device)
    if whole is None:
        return None
    beside_s, _ = _beside(graph, costs, data, device)
    overhead_s = beside_s + training.load_s + training.save_s
    needs_s = whole.seconds * (1 - share)
    hours = f"about {duration.show(needs_s)} of training"
    name, now = platform.name, (now or datetime.now(UTC)).replace(microsecond=0)
    alone_s = needs_s + overhead_s
    if alone_s <= left_s:
        return Finish(alone_s, until_s, f"{hours} in this session, {_finished(now, alone_s)}")
    if limits.load(name) is None:
        return Finish(alone_s, until_s, f"{hours}, and {duration.show(left_s)} are left")
    now_steps = max(0, int((left_s - overhead_s) / training.step_s[device]))
    done = min(1.0, share + now_steps / training.steps)
    resources = _resources(platform, now)
    rest = tasks(graph, costs, progress | {graph.place: done})
    found = planner.plan(Instance(rest, tuple(resources)), random.Random(0), effort=_EFFORT)
    quotas = [f"{r.quota.left_s / 3600:.1f} h" for r in resources if r.quota is not None]
    quota = f", with {' and '.join(quotas)} of quota left" if quotas else ""
    if found.schedule.unplaced or not resources:
        return Finish(None, until_s, f"{hours}, which no sessions on {name} can hold{quota}")
    finish_s = left_s + found.finish_s
    sessions = 1 + len(found.schedule.sessions)
    words = f"{hours} in {sessions} sessions{quota}, {_finished(now, finish_s)}"
    return Finish(finish_s, until_s, words)


def _finished(now: datetime, in_s: float) -> str:
    return f"finished about {now + timedelta(seconds=in_s):%A %d %b %H:%M} UTC"


@dataclass(frozen=True, slots=True)
class Outlook:
    """What is left of a graph of several runs, on one machine."""

    reasons: tuple[str, ...]
    slow: frozenset[RunId]
    """Trainings whose model is larger than this machine is made for."""


def of_parts(
    graph: Graph,
    models: Sequence[Single],
    data: Dataset,
    platform: Platform,
    *,
    ground: Ground,
    left_s: float | None,
    now: datetime | None = None,
) -> Outlook:
    """In words, and the parts that should rather be left to another machine."""
    costs, progress = ground.costs(graph, data, models), ground.progress(graph, data)
    device = accelerator.device(platform.accelerator)
    left = graph.left({run for run, share in progress.items() if share >= 1.0})
    slow, total_s = set(), 0.0
    for node in left.nodes.values():
        cost = costs(node.work)
        is_tuned = isinstance(node.work, Train) and node.work.recipe.method.needs_weights
        pace = cost.takes(device) or (None if is_tuned else cost.takes("cpu"))
        if (pace is None and isinstance(node.work, Train)) or _is_too_large(cost, platform):
            slow.add(node.id)
        if pace is not None:
            total_s += pace.seconds * (1 - progress.get(node.id, 0.0)) + _START_S
    lanes = max(1, platform.accelerator.count)
    reasons = []
    if left.nodes:
        count = f"{len(left.nodes)} of {len(graph.nodes)} parts are left"
        about = f"plan: {count}, which take about {duration.show(total_s / lanes)} here"
        reasons.append(f"{about}, by the model of cost")
    named = ", ".join(graph[run].title for run in graph.nodes if run in slow)
    if named:
        reasons.append(
            f"plan: too large for this machine, left to the last, better done on another: {named}"
        )
    elif left_s is not None and total_s / lanes > left_s and limits.load(platform.name) is not None:
        rest = tasks(graph, costs, progress)
        reasons += _sessions(rest, platform, left_s, now or datetime.now(UTC))
    return Outlook(tuple(reasons), frozenset(slow))


def _is_too_large(cost: Cost, platform: Platform) -> bool:
    there = platform.accelerator.memory_bytes
    return there is not None and cost.memory_bytes > there


def _beside(graph: Graph, costs: Costs, data: Dataset, device: str) -> tuple[float, str]:
    """(seconds that reading and evaluating take, in words where that is worth one)."""
    tested = data.test.rows if data.test else 0
    asking = costs(graph[graph.target].work).takes(device) if tested else None
    beside_s = reading_s(data.train.rows + tested) + (asking.most_s if asking else 0.0)
    if beside_s < _SAID_FROM_S:
        return beside_s, ""
    rows = f"{data.train.rows + tested:,} rows"
    evaluating = f" and evaluating {tested:,}" if tested else ""
    took = duration.show(beside_s)
    return beside_s, f"; reading and tokenising {rows}{evaluating} takes about {took} more"


def _sessions(
    rest: tuple[Task, ...], platform: Platform, left_s: float, now: datetime
) -> Iterator[str]:
    """The sessions after this one, here again."""
    now, name = now.replace(microsecond=0), platform.name
    known = _resources(platform, now)
    resources = tuple(known)
    yield from (f"plan: {said}" for said in known.values())
    found = planner.plan(Instance(rest, resources), random.Random(0), effort=_EFFORT)
    if found.schedule.unplaced or not resources:
        yield f"plan: no session on {name} can hold the rest of it"
        return
    sessions = 1 + len(found.schedule.sessions)
    yield (
        f"plan: {sessions} sessions with this one, {_finished(now, left_s + found.finish_s)}; "
        "agnews resume begins the next"
    )


def _resources(platform: Platform, now: datetime) -> dict[Resource, str]:
    """The sessions that this machine's platform gives, and what is known of each."""
    device = accelerator.device(platform.accelerator)
    known = Market.of(None, now, left_s={}, reserve_s=0.0).resources((platform.name,))
    return {r: said for r, said in known.items() if (r.kind, r.platform) == (device, platform.name)}


def _time(needs: Pace) -> str:
    """How long, and how that is known."""
    source = f" ({needs.source}, {needs.as_of})" if needs.how == "benchmark" else ""
    return f"training takes {needs.words()}{source}"
