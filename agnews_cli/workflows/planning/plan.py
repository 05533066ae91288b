"""`agnews plan`: which sessions a training needs, when it is finished, what would make it faster.

Reads offers, presets and what runs have measured; plans with `core.plan`; writes nothing. Asked
again after each session, it plans what is left: a run of the graph that is in the store counts as
done, as far as it is.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agnews_cli.core.graph.advice import advice
from agnews_cli.core.graph.asked import (
    AnyPreset,
    Distilled,
    Single,
    seeds,
    singles,
    stacking,
)
from agnews_cli.core.graph.graph import Graph
from agnews_cli.core.graph.shapes import graph_of
from agnews_cli.core.graph.tasks import tasks
from agnews_cli.core.plan import planner
from agnews_cli.core.plan.instance import Instance, Resource, Task
from agnews_cli.core.plan.schedule import Booking
from agnews_cli.core.run.cost import Costs, like_news
from agnews_cli.core.run.dataset import Dataset
from agnews_cli.core.run.request import MOST_ROWS, Wish
from agnews_cli.core.run.work import Recipe, RunId, Train
from agnews_cli.core.text import duration
from agnews_cli.errors import NoPlan, PresetOfSeveral, UsageError
from agnews_cli.store.settings import presets
from agnews_cli.workflows.forecast.costs import Ground, data_of_nobody, reason
from agnews_cli.workflows.forecast.offers import Market
from agnews_cli.workflows.train import option_bounds
from agnews_cli.workflows.train.weights import weighed

if TYPE_CHECKING:
    from agnews_cli.core.machine.platform import Platform
    from agnews_cli.core.run.dataset import Reading

SCHEMA = "agnews.plan/1"
AG_NEWS_ROWS, AG_NEWS_TEST_ROWS = 120_000, 7_600
DEFAULT_PRESET = "deberta-v3-base"
_HUB_TIMEOUT_S = 5.0
_EFFORT = 3_000
_NEAR = 0.01
"""Closer to the bound than 1%, no user gains from a longer search."""
_GAIN_S = 60.0
"""An alternative that is no more than a minute faster is not said."""
_SUGGESTED = ("kaggle", "colab-free")


@dataclass(frozen=True, slots=True)
class PlanRequest:
    """What the user asked for."""

    data: str | None = None
    """Labelled texts to plan for, as `agnews auto` takes them; None: as many rows as `rows`."""
    reading: Reading | None = None
    limit_train: int | None = None
    preset: str | None = None
    model: str | None = None
    settings: tuple[str, ...] = ()
    ensemble: int | None = None
    folds: int | None = None
    student: str | None = None
    on: tuple[str, ...] = ("colab-free",)
    resources: Path | None = None
    left_s: tuple[tuple[str, float], ...] = ()
    reserve_s: float = 0.0
    rows: int | None = None
    what_if: tuple[str, ...] = ()
    store: Path | None = None
    simulate: int = 0
    lifetime_s: float = 4 * 3600.0


@dataclass(frozen=True, slots=True)
class Alternative:
    """The finish with other resources; None where no plan is possible."""

    change: str
    finish_s: float | None
    sessions: int


@dataclass(frozen=True, slots=True)
class Planned:
    """The plan, and all that a screen says of it."""

    request: PlanRequest
    now: datetime
    instance: Instance
    plan: planner.PlannedSchedule
    cost_is_measured: bool
    reasons: tuple[str, ...]
    alternatives: tuple[Alternative, ...]

    @property
    def sessions(self) -> tuple[Booking, ...]:
        return _joined(self.plan, self.instance.resources)

    @property
    def finish(self) -> datetime:
        return self.at(self.plan.finish_s)

    def at(self, seconds: float) -> datetime:
        return self.now + timedelta(seconds=round(seconds))

    def as_json(self) -> dict[str, Any]:
        """Schema `agnews.plan/1` (docs/json.md)."""
        return {
            "schema": SCHEMA,
            "now": self.now.isoformat(),
            "finish": self.finish.isoformat(),
            "finish_s": round(self.plan.finish_s, 1),
            "lower_bound_s": round(self.plan.lower_bound_s, 1),
            "gap": round(self.plan.gap, 5),
            "cost": "measured" if self.cost_is_measured else "modelled",
            "jobs": [
                {
                    "name": job.name,
                    "run": job.run,
                    "steps": job.steps,
                    "step_s": {kind: round(s, 4) for kind, s in job.step_s.items()},
                    "after": list(job.after),
                }
                for job in self.instance.jobs
            ],
            "sessions": [
                {
                    "resource": session.resource,
                    "begins": self.at(session.begins_s).isoformat(),
                    "begins_s": round(session.begins_s, 1),
                    "ends_s": round(session.ends_s, 1),
                    "parts": [
                        {
                            "job": part.job,
                            "card": part.card,
                            "first_step": part.first_step,
                            "steps": part.steps,
                            "begins_s": round(part.begins_s, 1),
                            "ends_s": round(part.ends_s, 1),
                        }
                        for part in session.parts
                    ],
                }
                for session in self.sessions
            ],
            "used_s": {r.name: round(self.used_s(r), 1) for r in self.instance.resources},
            "reasons": list(self.reasons),
            "alternatives": [
                {"change": a.change, "finish_s": a.finish_s, "sessions": a.sessions}
                for a in self.alternatives
            ],
        }

    def used_s(self, resource: Resource) -> float:
        return self.plan.schedule.used_s(resource.name)


def make(request: PlanRequest, now: datetime | None = None) -> Planned:
    """Plan it. Raises NoPlan where a job fits no session, OfferUnknown, OffersInvalid, …"""
    _require_sense(request)
    now = (now or datetime.now(UTC)).replace(microsecond=0)
    market = Market.of(
        request.resources, now, left_s=dict(request.left_s), reserve_s=request.reserve_s
    )
    names = tuple(market.own.offers) if request.resources and not request.on else request.on
    known = market.resources(names)
    resources = tuple(known)
    reasons = [why for resource, why in known.items() if resource.kind != "cpu" or resource.quota]
    ground = Ground(request.store or Path("agnews-runs"), market.devices)
    here = None
    if "here" in names:
        from agnews_cli.host.detect import detect

        here = detect()
        ground.cpu = here.accelerator
    asked = _asked(request, ground, here)
    costs, progress = (
        ground.costs(asked.graph, asked.data, asked.singles),
        ground.progress(asked.graph, asked.data),
    )
    jobs = tasks(asked.graph, costs, progress)
    why = [*asked.reasons, *_reasons(asked, ground, costs, progress)]
    found = _plan(jobs, resources)
    return Planned(
        request,
        now,
        Instance(jobs, resources),
        found,
        any(ground.measured(single.preset).examples_per_s for single in asked.singles),
        (*why, *reasons, *_limits(found, resources)),
        tuple(_alternatives(found, jobs, resources, market, names, request)),
    )


def _require_sense(request: PlanRequest) -> None:
    """Raises OutOfRange for a number that nobody can mean: a plan takes memory for each member."""
    option_bounds.require("ensemble", request.ensemble, 2, option_bounds.MOST_MEMBERS)
    option_bounds.require("folds", request.folds, 2, option_bounds.MOST_MEMBERS)
    option_bounds.require("rows", request.rows, 8, MOST_ROWS)
    option_bounds.require("simulate", request.simulate, 0, option_bounds.MOST_LIVES)
    for option, given_s in (
        ("reserve", request.reserve_s),
        ("lifetime", request.lifetime_s),
        *(("left", left_s) for _, left_s in request.left_s),
    ):
        option_bounds.require(option, given_s / 3600.0, 0.0, option_bounds.MOST_HOURS, " h")


def _plan(jobs: tuple[Task, ...], resources: tuple[Resource, ...]) -> planner.PlannedSchedule:
    found = planner.plan(Instance(jobs, resources), random.Random(0), effort=_EFFORT, near=_NEAR)
    if found.schedule.unplaced:
        job = next(job for job in jobs if job.name in found.schedule.unplaced)
        raise NoPlan(job=job.name, why=_misfit(job, resources))
    return found


def _misfit(job: Task, resources: Sequence[Resource]) -> str:
    kinds = ", ".join(sorted({r.kind for r in resources}))
    if not any(r.kind in job.step_s for r in resources):
        return f"it runs on {' or '.join(sorted(job.step_s))}, and there is {kinds}"
    most = max((r.memory_bytes or 0 for r in resources if r.kind in job.step_s), default=0)
    if most and job.memory_bytes > most:
        return f"it needs about {job.memory_bytes / 1e9:.0f} GB, a card has {most / 1e9:.0f} GB"
    return "no session is long enough for one step of it, or no quota is left for it"


# ---- what is to be done ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Asked:
    """The graph that is planned, the models in it, and why these."""

    graph: Graph
    data: Dataset
    singles: tuple[Single, ...]
    reasons: tuple[str, ...]


def _asked(request: PlanRequest, ground: Ground, here: Platform | None) -> _Asked:
    """`here`: this machine, where it is one of those that are planned for."""
    shape, why = _shape(request)
    data, why_data = _data(request, ground.store)
    reasons = [*why, *why_data]
    if here is not None and request.data is not None and isinstance(shape, Single):
        from agnews_cli.workflows.forecast.outlook import ahead

        alone = graph_of(shape, data, limit=request.limit_train)
        reasons += ahead(alone, shape, data, here, ground=ground, left_s=None)
    graph = graph_of(shape, data, limit=request.limit_train)
    return _Asked(graph, data, singles(shape), tuple(reasons))


def _shape(request: PlanRequest) -> tuple[AnyPreset, list[str]]:
    """What is meant; --ensemble, --folds and --student make several models of one."""
    from agnews_cli.host import network
    from agnews_cli.workflows.train.recipe import shape

    found, why = shape(
        request.model,
        request.preset or (DEFAULT_PRESET if request.model is None else None),
        request.settings,
        hub=lambda: network.hub_answers(_HUB_TIMEOUT_S),
        timeout_s=_HUB_TIMEOUT_S,
    )
    assert found is not None, "a model has a recipe"
    reasons = list(why) if request.model or not isinstance(found, Single) else []
    if request.student is not None:
        student = weighed(Single(presets.load(request.student, action="--student")))
        assert isinstance(student, Single)
        made = Distilled(f"{student.name}-distilled", found, student)
        return made, [*reasons, *advice(made)]
    if request.folds is None and request.ensemble is None:
        return found, reasons
    if not isinstance(found, Single):
        option = "--folds" if request.folds is not None else "--ensemble"
        raise PresetOfSeveral(name=found.name, tier=found.tier, action=option)
    if request.folds is not None:
        return stacking(found.preset, request.folds, found.weights), reasons
    assert request.ensemble is not None
    return seeds(found.preset, request.ensemble, found.weights), reasons


def _data(request: PlanRequest, store: Path) -> tuple[Dataset, list[str]]:
    """As `agnews auto` would train on them; without any, so many rows of news as are asked for, or
    what a run in the store took where none were named."""
    if request.data is None:
        if request.limit_train is not None:
            raise UsageError(
                message="--limit-train is for data that are given.",
                hint=f"Plan for so many rows: agnews plan --rows {request.limit_train}",
            )
        if request.rows is not None:
            return like_news(request.rows), []
        return data_of_nobody(store) or like_news(AG_NEWS_ROWS, AG_NEWS_TEST_ROWS), []
    if request.rows is not None:
        raise UsageError(
            message=f"--rows {request.rows} is for a plan without data; these have rows.",
            hint="Leave out --rows, or plan for a part of them: --limit-train N",
        )
    from agnews_cli.core.run.dataset import Reading
    from agnews_cli.host import network
    from agnews_cli.store.data import datasets
    from agnews_cli.workflows.train import scene

    asked = Wish(data=request.data, limit_train=request.limit_train)
    dataset, why = scene.find_data(
        asked,
        lambda: network.hub_answers(_HUB_TIMEOUT_S),
        datasets.nobody,
        reading=request.reading or Reading(),
    )
    scene.rows_to_use(asked, dataset, "cpu")  # refuses a limit that is too small
    rows = min(dataset.train.rows, request.limit_train or dataset.train.rows)
    classes = f"{rows:,} rows, {len(dataset.labels):,} classes"
    return dataset, [f"data {dataset.name}: {classes}; as agnews auto would train on them", *why]


def _reasons(
    asked: _Asked, ground: Ground, costs: Costs, progress: Mapping[RunId, float]
) -> list[str]:
    """What the trainings cost, and what of them is done already."""
    by_recipe = {Recipe.of(s.preset, s.weights): s.preset for s in asked.singles}
    found: dict[str, str] = {}
    begun: list[str] = []
    for run, node in asked.graph.nodes.items():
        if not isinstance(node.work, Train):
            continue
        cost, preset = costs(node.work), by_recipe[node.work.recipe]
        found.setdefault(preset.name, reason(preset, cost, ground))
        if steps := int(progress.get(run, 0.0) * cost.steps):
            begun.append(f"{node.title}: {steps:,}")
    done = f"steps done already, from the runs in the store: {', '.join(begun)}"
    return [*found.values(), *([done] if begun else [])]


def _limits(found: planner.PlannedSchedule, resources: Sequence[Resource]) -> list[str]:
    if not found.schedule.sessions:
        return ["nothing is left to do"]
    reasons = [
        f"no plan ends before {duration.show(found.lower_bound_s)} from now (proven); this one is "
        f"{found.gap:.1%} later"
    ]
    for resource in resources:
        used_s = found.schedule.used_s(resource.name)
        if resource.quota is not None and used_s:
            reasons.append(f"{resource.name}: {used_s / 3600:.1f} h of quota used")
    return reasons


def _alternatives(
    found: planner.PlannedSchedule,
    jobs: tuple[Task, ...],
    resources: tuple[Resource, ...],
    market: Market,
    names: Sequence[str],
    request: PlanRequest,
) -> list[Alternative]:
    """Other resources, planned again: what was asked for, or what is free and not used yet."""
    wanted = [tuple(group.split("+")) for group in request.what_if]
    if not wanted and not market.has_own_file:
        more = [(*names, other) for other in _SUGGESTED if other not in (*names, "here")]
        wanted = [group for group in more if _may_gain(found, jobs, market.unlimited(group))]
    made = []
    for group in wanted:
        other = tuple(market.resources(group))
        made.append(_alternative("+".join(group), jobs, other))
    if request.reserve_s:
        free = tuple(
            replace(r, quota=replace(r.quota, reserve_s=0.0)) if r.quota else r for r in resources
        )
        made.append(_alternative("without the reserve", jobs, free))
    if request.what_if:
        return made
    return [a for a in made if a.finish_s is not None and a.finish_s < found.finish_s - _GAIN_S]


def _may_gain(
    found: planner.PlannedSchedule, jobs: tuple[Task, ...], resources: tuple[Resource, ...]
) -> bool:
    """Whether a plan there could be worth saying. Asked of resources without their quotas, before
    the ledger and Kaggle are asked what is left."""
    return planner.bound_s(Instance(jobs, resources)) < found.finish_s - _GAIN_S


def _alternative(
    change: str, jobs: tuple[Task, ...], resources: tuple[Resource, ...]
) -> Alternative:
    try:
        other = _plan(jobs, resources)
    except NoPlan:
        return Alternative(change, None, 0)
    return Alternative(change, round(other.finish_s, 1), len(_joined(other, resources)))


def _joined(found: planner.PlannedSchedule, resources: Sequence[Resource]) -> tuple[Booking, ...]:
    """As people count sessions."""
    return found.schedule.joined({one.name for one in resources if one.is_free})
