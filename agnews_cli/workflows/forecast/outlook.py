"""What a run will take, told before it begins: time, sessions, quota, the day it is finished.

`agnews auto` says it at every start, so a plan is made anew after every session, from the speed
that the last one measured.
"""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

from agnews_cli.core.graph.graph import Graph
from agnews_cli.core.graph.shapes import Single
from agnews_cli.core.graph.tasks import tasks
from agnews_cli.core.machine import accelerator
from agnews_cli.core.machine.platform import Platform
from agnews_cli.core.plan import planner
from agnews_cli.core.plan.instance import Instance
from agnews_cli.core.run.cost import Pace, reading_s
from agnews_cli.core.run.dataset import Dataset
from agnews_cli.core.text import duration
from agnews_cli.store.settings import limits
from agnews_cli.workflows.forecast.costs import Ground
from agnews_cli.workflows.forecast.offers import Market

_EFFORT = 300
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
    now = (now or datetime.now(UTC)).replace(microsecond=0)
    costs = ground.costs(graph, data, (single,))
    progress = ground.progress(graph)
    training = costs(graph[graph.place].work)
    device = accelerator.device(platform.accelerator)
    done = min(training.steps, int(progress.get(graph.place, 0.0) * training.steps))
    steps = training.steps - done
    needs = training.takes(device, steps)
    if needs is None:
        name, model = platform.accelerator.name, single.name
        return (f"plan: how fast {name} trains {model} is not known before it does",)
    if not steps:
        return ()
    lines = [f"plan: {_time(needs)}"]
    test_rows = data.test.rows if data.test else 0
    asking = costs(graph[graph.target].work).takes(device) if test_rows else None
    beside_s = reading_s(data.train.rows + test_rows) + (asking.most_s if asking else 0.0)
    if beside_s >= _SAID_FROM_S:
        evaluating = f" and evaluating {test_rows:,}" if test_rows else ""
        rows = f"{data.train.rows + test_rows:,} rows"
        took = f"{duration.show(beside_s)} more"
        lines[0] += f"; reading and tokenising {rows}{evaluating} takes about {took}"
    if left_s is None:
        return tuple(lines)
    step_s = training.step_s[device]
    now_steps = max(0, int((left_s - beside_s - training.load_s - training.save_s) / step_s))
    if now_steps >= steps:
        return (*lines, f"plan: it fits in this session, {duration.show(left_s)} of which are left")
    name = platform.name
    if limits.load(name) is None:  # only the user said how long it lasts
        return (*lines, "plan: it does not fit in this session; agnews resume goes on in another")
    known = Market.of(None, now, left_s={}, reserve_s=0.0).resources((name,))
    resources = tuple(r for r in known if r.kind == device and r.platform == name)
    reasons = [f"plan: {known[resource]}" for resource in resources]
    then = progress | {graph.place: (done + now_steps) / training.steps}
    rest = Instance(tasks(graph, costs, then), resources)
    found = planner.plan(rest, random.Random(0), effort=_EFFORT)
    if found.schedule.unplaced or not resources:
        return (*lines, *reasons, f"plan: no session on {name} can hold the rest of it")
    sessions = 1 + len(found.schedule.sessions)
    finish = now + timedelta(seconds=left_s + found.finish_s)
    return (
        *lines,
        *reasons,
        f"plan: {sessions} sessions with this one, finished about {finish:%A %d %b %H:%M} UTC; "
        "agnews resume begins the next",
    )


def _time(needs: Pace) -> str:
    """How long, and how that is known."""
    source = f" ({needs.source}, {needs.as_of})" if needs.how == "benchmark" else ""
    return f"training takes {needs.words()}{source}"
