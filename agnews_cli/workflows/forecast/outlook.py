"""What a run will take, told before it begins: time, sessions, quota, the day it is finished.

`agnews auto` says it at every start, so a plan is made anew after every session, from the speed
that the last one measured.
"""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

from agnews_cli.core.machine import accelerator
from agnews_cli.core.machine.platform import Platform
from agnews_cli.core.plan import graphs, planner
from agnews_cli.core.plan.instance import Instance
from agnews_cli.core.run.estimate import around_s, passed, training_time
from agnews_cli.core.run.preset import Preset
from agnews_cli.core.text import duration
from agnews_cli.store.settings import limits
from agnews_cli.workflows.forecast import costs
from agnews_cli.workflows.forecast.offers import Market

_EFFORT = 300
_SAID_FROM_S = 10.0
"""Reading and evaluating that take less are not worth a word."""


def ahead(
    preset: Preset,
    rows: int,
    platform: Platform,
    *,
    run: Path,
    left_s: float | None,
    read_rows: int = 0,
    predicted_rows: int = 0,
    now: datetime | None = None,
) -> tuple[str, ...]:
    """In words. `rows`: of the training split; `run`: the run's folder, which may not be there yet;
    `left_s`: of this session, None without an end. `read_rows`: of all files; `predicted_rows`: of
    the test split.
    """
    now = (now or datetime.now(UTC)).replace(microsecond=0)
    market = Market.of(None, now, left_s={}, reserve_s=0.0)
    measured = costs.MeasuredCosts.read(run.parent, preset)
    training = costs.training(preset, rows, market.devices, measured.examples_per_s)
    device = platform.accelerator
    kind = "cpu" if device.kind == "cpu" else accelerator.model(device.name)
    step_s = training.step_s.get(kind)
    if step_s is None:
        return (f"plan: how fast {device.name} trains {preset.name} is not known before it does",)
    share = measured.by_run.get(run.name, 0.0)
    steps = training.steps - min(training.steps, int(share * training.steps))
    needs_s = steps * step_s
    if not steps:
        return ()
    speed = measured.source if kind in measured.examples_per_s else None
    lines = [f"plan: {_time(preset, rows, platform, needs_s, speed)}"]
    row_s = training.steps * step_s / passed(preset, rows)
    beside_s = around_s(preset, read_rows, predicted_rows, device, trained_row_s=row_s)
    if beside_s >= _SAID_FROM_S:
        evaluating = f" and evaluating {predicted_rows:,}" if predicted_rows else ""
        took = f"{duration.show(beside_s)} more"
        lines[0] += f"; reading and tokenising {read_rows:,} rows{evaluating} takes about {took}"
    if left_s is None:
        return tuple(lines)
    now_steps = max(0, int((left_s - beside_s - training.load_s - training.save_s) / step_s))
    if now_steps >= steps:
        return (*lines, f"plan: it fits in this session, {duration.show(left_s)} of which are left")
    name = platform.name
    if limits.load(name) is None:  # only the user said how long it lasts
        return (*lines, "plan: it does not fit in this session; agnews resume goes on in another")
    known = market.resources((name,))
    resources = tuple(r for r in known if r.kind == kind and r.platform == name)
    reasons = [f"plan: {known[resource]}" for resource in resources]
    rest = graphs.remaining(graphs.single(training), {"train": training.steps - steps + now_steps})
    found = planner.plan(Instance(rest, resources), random.Random(0), effort=_EFFORT)
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


def _time(preset: Preset, rows: int, platform: Platform, needs_s: float, speed: str | None) -> str:
    """`speed`: what was measured on this kind of device, and where."""
    if speed is not None:
        return f"about {duration.show(needs_s)} of training left, at the speed of {speed}"
    estimate = training_time(preset, rows, platform.accelerator)
    if estimate is not None:
        return f"{estimate.words()} ({estimate.source}, {estimate.as_of})"
    return f"about {duration.show(needs_s)} of training by the model of cost; nobody measured it"
