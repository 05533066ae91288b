"""`agnews plan --simulate N`: a plan lived through many times, on machines that die."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agnews_cli.core.saving.deaths import Exponential
from agnews_cli.core.saving.simulate import PolicyRow, World, compare, usual_policies
from agnews_cli.core.text import duration

if TYPE_CHECKING:
    from agnews_cli.workflows.planning.plan import Planned


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What became of the plan, for each rule of saving."""

    lives: int
    summary: str
    rows: tuple[PolicyRow, ...]

    def as_json(self) -> dict[str, Any]:
        return {
            "lives": self.lives,
            "policies": [
                {
                    "name": row.name,
                    "goodput": round(row.goodput.mean, 5),
                    "goodput_low": round(row.goodput.low, 5),
                    "goodput_high": round(row.goodput.high, 5),
                    "finish_s": round(row.finish_s.mean, 1),
                    "held_s": round(row.held_s.mean, 1),
                }
                for row in self.rows
            ],
        }


def rehearse(planned: Planned) -> Rehearsal | None:
    """The resource that does most of the plan's work does it alone, one session after the other.

    None where nothing is simulated. Two cards halve the time, as in the plan.
    """
    request, lives = planned.request, planned.request.simulate
    by_name = {r.name: r for r in planned.instance.resources}
    work: Counter[str] = Counter()
    for session in planned.sessions:
        for part in session.parts:
            if by_name[session.resource].kind != "cpu":
                work[session.resource] += round(part.ends_s - part.begins_s)
    if not lives or not work:
        return None
    resource = by_name[work.most_common(1)[0][0]]
    trained = [job for job in planned.instance.jobs if job.is_divisible]
    step_s = max((job.step_s.get(resource.kind, 0.0) for job in trained), default=1.0)
    steps = max((job.steps for job in trained), default=1)
    world = World(
        lifetimes=Exponential(request.lifetime_s),
        deadline_s=min(resource.session_s, 24 * 3600.0),
        work_s=sum(work.values()) / resource.cards,
        startup_s=resource.startup_s,
        quota_s=resource.quota.period_quota_s if resource.quota else float("inf"),
        quota_week_s=resource.quota.period_s if resource.quota else 7 * 86400.0,
        step_s=step_s,
        epoch_s=max(600.0, steps * step_s / 3),
    )
    rows = compare(
        world,
        usual_policies(world),
        range(lives),
        lambda seed, session: random.Random(seed * 1_000_003 + session),
    )
    summary = (
        f"{lives} lives on {resource.name}: {duration.show(world.work_s)} of work, sessions die "
        f"after {duration.show(request.lifetime_s)} on average (--lifetime), a save stops training "
        f"for {world.cost_s:.0f} s and is uploaded in {world.upload_s:.0f} s:"
    )
    return Rehearsal(lives, summary, rows)
