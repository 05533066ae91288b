"""`agnews plan`: which sessions a training needs, when it is finished, what would make it faster.

Reads offers, presets and what runs have measured; plans with `core.plan`; writes nothing. Asked
again after each session, it plans what is left: steps of runs in the store count as done.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agnews_cli.core.plan import graphs, planner
from agnews_cli.core.plan.instance import Instance, Resource, Task
from agnews_cli.core.plan.schedule import Booking
from agnews_cli.core.run.preset import Preset
from agnews_cli.core.text import duration
from agnews_cli.errors import NoPlan, UsageError
from agnews_cli.store.settings import presets
from agnews_cli.store.settings.offers import DeviceSpeed
from agnews_cli.workflows.forecast import costs
from agnews_cli.workflows.forecast.costs import MeasuredCosts
from agnews_cli.workflows.forecast.offers import Market
from agnews_cli.workflows.train import option_bounds

if TYPE_CHECKING:
    from agnews_cli.core.run.dataset import Reading

SCHEMA = "agnews.plan/1"
AG_NEWS_ROWS = 120_000
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
        return self.plan.schedule.sessions

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
    preset, why = _preset(request)
    measured = MeasuredCosts.read(request.store or Path("agnews-runs"), preset)
    work, why_work = _work(request, preset, measured, is_here="here" in names)
    jobs, why_jobs = _jobs(request, preset, work, market.devices, measured)
    why = [*why, *why_work, *why_jobs]
    found = _plan(jobs, resources)
    return Planned(
        request,
        now,
        Instance(jobs, resources),
        found,
        bool(measured.examples_per_s),
        (*why, *reasons, *_limits(found, resources)),
        tuple(_alternatives(found, jobs, resources, market, names, request)),
    )


def _require_sense(request: PlanRequest) -> None:
    """Raises OutOfRange for a number that nobody can mean: a plan takes memory for each member."""
    option_bounds.require("ensemble", request.ensemble, 2, option_bounds.MOST_MEMBERS)
    option_bounds.require("folds", request.folds, 2, option_bounds.MOST_MEMBERS)
    option_bounds.require("rows", request.rows, 8, option_bounds.MOST_ROWS)
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


# ---- jobs ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Work:
    """Rows that are trained on, and the share of a training that each seed has behind it."""

    rows: int
    done: Mapping[int, float]


def _preset(request: PlanRequest) -> tuple[Preset, list[str]]:
    if request.model is None:
        name = request.preset or DEFAULT_PRESET
        return presets.with_settings(presets.load(name), request.settings), []
    from agnews_cli.host import network
    from agnews_cli.workflows.train.recipe import recipe

    found, why = recipe(
        request.model,
        request.preset,
        request.settings,
        hub=lambda: network.hub_answers(_HUB_TIMEOUT_S),
        timeout_s=_HUB_TIMEOUT_S,
    )
    assert found is not None, "a model has a recipe"
    return found, list(why)


def _work(
    request: PlanRequest, preset: Preset, measured: MeasuredCosts, *, is_here: bool
) -> tuple[_Work, list[str]]:
    """As `agnews auto` would train on the data; without any, so many rows as are asked for."""
    if request.data is None:
        if request.limit_train is not None:
            raise UsageError(
                message="--limit-train is for data that are given.",
                hint=f"Plan for so many rows: agnews plan --rows {request.limit_train}",
            )
        return _Work(request.rows or AG_NEWS_ROWS, measured.done), []
    if request.rows is not None:
        raise UsageError(
            message=f"--rows {request.rows} is for a plan without data; these have rows.",
            hint="Leave out --rows, or plan for a part of them: --limit-train N",
        )
    from agnews_cli.core.run.dataset import Reading
    from agnews_cli.host import network
    from agnews_cli.host.detect import detect
    from agnews_cli.store.data import datasets
    from agnews_cli.workflows.forecast.outlook import ahead
    from agnews_cli.workflows.train import auto

    asked = auto.Request(data=request.data, limit_train=request.limit_train)
    asked = asked.with_reading(request.reading or Reading())
    dataset, why = auto.find_data(
        asked, lambda: network.hub_answers(_HUB_TIMEOUT_S), datasets.nobody
    )
    auto.rows_to_use(asked, dataset, "cpu")  # refuses a limit that is too small
    rows = min(dataset.train.rows, request.limit_train or dataset.train.rows)
    classes = f"{rows:,} rows, {len(dataset.labels):,} classes"
    why = [f"data {dataset.name}: {classes}; as agnews auto would train on them", *why]
    members = range(request.ensemble or 1)
    ids = [auto.graph_of(replace(asked, seed=seed), preset, dataset).place for seed in members]
    if is_here:
        store = request.store or Path("agnews-runs")
        test_rows = dataset.test.rows if dataset.test else 0
        why += ahead(
            preset,
            rows,
            detect(),
            run=store / ids[0],
            left_s=None,
            read_rows=dataset.train.rows + test_rows,
            predicted_rows=test_rows,
        )
    return _Work(rows, {k: measured.by_run.get(run, 0.0) for k, run in enumerate(ids)}), why


def _jobs(
    request: PlanRequest,
    preset: Preset,
    work: _Work,
    devices: Mapping[str, DeviceSpeed],
    measured: MeasuredCosts,
) -> tuple[tuple[Task, ...], list[str]]:
    training = costs.training(preset, work.rows, devices, measured.examples_per_s)
    done: dict[str, int] = {}
    if request.student is not None:
        student = presets.load(request.student)
        jobs = graphs.distillation(
            training,
            costs.training(student, work.rows, devices, {}),
            epochs=preset.training.epochs,
        )
    elif request.folds is not None:
        jobs = graphs.stacking(training, request.folds)
    elif request.ensemble is not None:
        jobs = graphs.ensemble(training, request.ensemble)
        done = {f"member {k}": _steps(training, share) for k, share in work.done.items()}
    else:
        jobs = graphs.single(training)
        done = {"train": _steps(training, work.done.get(0, 0.0))}
    reasons = [costs.reason(preset, training, devices, measured)]
    begun = {name: steps for name, steps in done.items() if steps}
    if begun:
        counted = ", ".join(f"{name}: {steps:,}" for name, steps in sorted(begun.items()))
        reasons.append(f"steps done already, from the runs in the store: {counted}")
    return graphs.remaining(jobs, done), reasons


def _steps(training: graphs.Cost, share: float) -> int:
    return min(training.steps, int(share * training.steps))


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
    return Alternative(change, round(other.finish_s, 1), len(other.schedule.sessions))
