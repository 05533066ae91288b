"""`agnews plan`: which sessions a training needs, when it is finished, what would make it faster.

Reads offers, presets and what runs have measured; plans with `core.plan`; writes nothing. Asked
again after each session, it plans what is left: steps of runs in the store count as done.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from agnews_cli.core import duration
from agnews_cli.core.plan import cost, graphs, planner
from agnews_cli.core.plan.instance import Instance, Job, Resource
from agnews_cli.core.plan.schedule import Session
from agnews_cli.core.preset import Preset
from agnews_cli.errors import NoPlan
from agnews_cli.store import presets, runs
from agnews_cli.workflows import offers as offers_file

SCHEMA = "agnews.plan/1"
AG_NEWS_ROWS = 120_000
_EFFORT = 3_000
_NEAR = 0.01
"""Closer to the bound than 1%, no user gains from a longer search."""
_TAIL_BYTES = 64 * 1024
_SUGGESTED = ("kaggle", "colab-free")


@dataclass(frozen=True, slots=True)
class Request:
    """What the user asked for."""

    preset: str = "deberta-v3-base"
    settings: tuple[str, ...] = ()
    ensemble: int | None = None
    folds: int | None = None
    student: str | None = None
    on: tuple[str, ...] = ("colab-free",)
    resources: Path | None = None
    left_s: tuple[tuple[str, float], ...] = ()
    reserve_s: float = 0.0
    rows: int = AG_NEWS_ROWS
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

    request: Request
    now: datetime
    instance: Instance
    plan: planner.Plan
    cost_is_measured: bool
    reasons: tuple[str, ...]
    alternatives: tuple[Alternative, ...]

    @property
    def sessions(self) -> tuple[Session, ...]:
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


def make(request: Request, now: datetime | None = None) -> Planned:
    """Plan it. Raises NoPlan where a job fits no session, OfferUnknown, OffersInvalid, …"""
    now = (now or datetime.now(UTC)).replace(microsecond=0)
    known = offers_file.load(request.resources)
    names = tuple(known.offers) if request.resources and not request.on else request.on
    resources, reasons = _resources(known, names, request, now)
    preset = presets.with_settings(presets.load(request.preset), request.settings)
    measured = _Measured.read(request.store or Path("agnews-runs"), preset.name)
    jobs, why = _jobs(request, preset, known, measured)
    found = _plan(jobs, resources)
    return Planned(
        request,
        now,
        Instance(jobs, resources),
        found,
        bool(measured.examples_per_s),
        (*why, *reasons, *_limits(found, resources)),
        tuple(_alternatives(found, jobs, resources, known, names, request, now)),
    )


def _plan(jobs: tuple[Job, ...], resources: tuple[Resource, ...]) -> planner.Plan:
    found = planner.plan(Instance(jobs, resources), random.Random(0), effort=_EFFORT, near=_NEAR)
    if found.schedule.unplaced:
        job = next(job for job in jobs if job.name in found.schedule.unplaced)
        raise NoPlan(job=job.name, why=_misfit(job, resources))
    return found


def _misfit(job: Job, resources: Sequence[Resource]) -> str:
    kinds = ", ".join(sorted({r.kind for r in resources}))
    if not any(r.kind in job.step_s for r in resources):
        return f"it runs on {' or '.join(sorted(job.step_s))}, and there is {kinds}"
    most = max((r.memory_bytes or 0 for r in resources if r.kind in job.step_s), default=0)
    if most and job.memory_bytes > most:
        return f"it needs about {job.memory_bytes / 1e9:.0f} GB, a card has {most / 1e9:.0f} GB"
    return "no session is long enough for one step of it, or no quota is left for it"


# ---- jobs and their cost ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Measured:
    """What runs of this preset in the store have shown."""

    examples_per_s: dict[str, float]
    done: dict[int, float]
    """Share of the training that each seed has behind it."""
    source: str

    @classmethod
    def read(cls, store: Path, preset: str) -> _Measured:
        if not store.is_dir():
            return cls({}, {}, "")
        speeds: dict[str, float] = {}
        done: dict[int, float] = {}
        sources = []
        for folder in runs.list_runs(store):
            if folder.id.rpartition("-")[0] != preset:
                continue
            kind, speed, share = _progress(folder)
            if speed and kind not in speeds:  # the newest run counts
                speeds[kind] = speed
                sources.append(f"{speed:,.0f} examples a second on {kind} in run {folder.id}")
            seed = folder.order().get("seed", 0)
            done[seed] = max(done.get(seed, 0.0), share)
        return cls(speeds, done, "; ".join(sources))


def _progress(folder: runs.RunFolder) -> tuple[str, float, float]:
    """(kind of device, examples a second, share saved) of a run; 0 where it is not known."""
    environment, outcome = _object(folder.environment), _object(folder.outcome)
    device = str(environment.get("accelerator") or "cpu")
    kind = device.split()[-1]  # "Tesla T4" is the kind T4
    speed, saved, total = 0.0, 0, 0
    for event, data in _last_events(folder.events):
        try:
            if event == "progress":
                speed, total = float(data["examples_per_s"]), int(data["total_steps"])
            elif event == "saved":
                saved = max(saved, int(data["step"]))
        except (KeyError, TypeError, ValueError):
            continue
    share = 1.0 if outcome.get("state") == "completed" else saved / total if total else 0.0
    return kind, speed, min(1.0, share)


def _object(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _last_events(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Kind and data of the last events; a torn line is passed over."""
    try:
        with path.open("rb") as stream:
            stream.seek(max(0, stream.seek(0, 2) - _TAIL_BYTES))
            lines = stream.read().splitlines()
    except OSError:
        return
    for line in lines:
        try:
            event = json.loads(line)
            yield event["kind"], event["data"]
        except (ValueError, KeyError, TypeError):
            continue


def _jobs(
    request: Request, preset: Preset, known: offers_file.Offers, measured: _Measured
) -> tuple[tuple[Job, ...], list[str]]:
    training = _training(preset, request.rows, known, measured.examples_per_s)
    done: dict[str, int] = {}
    if request.student is not None:
        student = presets.load(request.student)
        jobs = graphs.distillation(
            training, _training(student, request.rows, known, {}), epochs=preset.training.epochs
        )
    elif request.folds is not None:
        jobs = graphs.stacking(training, request.folds)
    elif request.ensemble is not None:
        jobs = graphs.ensemble(training, request.ensemble)
        done = {f"member {k}": _steps(training, share) for k, share in measured.done.items()}
    else:
        jobs = graphs.single(training)
        done = {"train": _steps(training, measured.done.get(0, 0.0))}
    reasons = [_cost_reason(preset, training, known, measured)]
    begun = {name: steps for name, steps in done.items() if steps}
    if begun:
        counted = ", ".join(f"{name}: {steps:,}" for name, steps in sorted(begun.items()))
        reasons.append(f"steps done already, from the runs in the store: {counted}")
    return graphs.remaining(jobs, done), reasons


def _training(
    preset: Preset, rows: int, known: offers_file.Offers, examples_per_s: dict[str, float]
) -> graphs.Training:
    tflops = {kind: device.tflops for kind, device in known.devices.items()}
    made = cost.training(preset, rows, tflops, examples_per_s)
    # Large models are not sent to a CPU: that takes weeks, and memory that nobody checked.
    if preset.model.parameters > 30_000_000 and "cpu" not in examples_per_s:
        made = replace(made, step_s={k: s for k, s in made.step_s.items() if k != "cpu"})
    return made


def _steps(training: graphs.Training, share: float) -> int:
    return min(training.steps, int(share * training.steps))


def _cost_reason(
    preset: Preset, training: graphs.Training, known: offers_file.Offers, measured: _Measured
) -> str:
    steps = f"{training.steps:,} steps of {preset.training.batch_tokens:,} tokens"
    if measured.examples_per_s:
        return f"cost of {preset.name}: {steps}, at the measured speed: {measured.source}"
    shown = ", ".join(
        f"{kind} {device.tflops:g} TFLOP/s ({device.source}, {device.as_of})"
        for kind, device in known.devices.items()
        if kind in training.step_s
    )
    millions = preset.model.parameters / 1e6
    return (
        f"cost of {preset.name}: {steps}, not measured yet but modelled from {millions:,.0f} M "
        f"parameters; {shown}"
    )


# ---- resources ----------------------------------------------------------------------------------


def _resources(
    known: offers_file.Offers, names: Sequence[str], request: Request, now: datetime
) -> tuple[tuple[Resource, ...], list[str]]:
    left = dict(request.left_s)
    found: list[Resource] = []
    reasons: list[str] = []
    for name in dict.fromkeys((*names, "here")):
        if name == "here" and name not in known.offers:
            continue
        for offer in known.group(name):
            found.append(
                offer.resource(name, now, left_s=left.get(offer.name), reserve_s=request.reserve_s)
            )
            if offer.kind != "cpu":
                reasons.append(_offer_reason(offer, found[-1], offer.name in left))
    return tuple(found), reasons


def _offer_reason(offer: offers_file.Offer, resource: Resource, is_given: bool) -> str:
    parts = []
    if offer.session_hours is not None:
        parts.append(f"sessions of {offer.session_hours:g} h at most")
    if offer.cards > 1:
        parts.append(f"{offer.cards} cards for one hour of quota")
    if resource.quota is not None:
        how = "as given" if is_given else "taken as unused: --left says otherwise"
        parts.append(f"{resource.quota.left_s / 3600:.1f} h of quota left ({how})")
        if resource.quota.reserve_s:
            parts.append(f"{duration.show(resource.quota.reserve_s)} of it kept in reserve")
    assumed = f"; assumed: {', '.join(offer.assumed)}" if offer.assumed else ""
    return (
        f"{offer.name}: {', '.join(parts) or 'no limit'} ({offer.source}, {offer.as_of}{assumed})"
    )


def _limits(found: planner.Plan, resources: Sequence[Resource]) -> list[str]:
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
    found: planner.Plan,
    jobs: tuple[Job, ...],
    resources: tuple[Resource, ...],
    known: offers_file.Offers,
    names: Sequence[str],
    request: Request,
    now: datetime,
) -> list[Alternative]:
    """Other resources, planned again: what was asked for, or what is free and not used yet."""
    wanted = [tuple(group.split("+")) for group in request.what_if]
    if not wanted:
        wanted = [(*names, other) for other in _SUGGESTED if other not in (*names, "here")]
    made = []
    for group in wanted:
        if not all(name in known.offers for name in group) and not request.what_if:
            continue
        other, _ = _resources(known, group, request, now)
        made.append(_alternative("+".join(group), jobs, other))
    if request.reserve_s:
        free = tuple(
            replace(r, quota=replace(r.quota, reserve_s=0.0)) if r.quota else r for r in resources
        )
        made.append(_alternative("without the reserve", jobs, free))
    if request.what_if:
        return made
    return [a for a in made if a.finish_s is not None and a.finish_s < found.finish_s - 60]


def _alternative(
    change: str, jobs: tuple[Job, ...], resources: tuple[Resource, ...]
) -> Alternative:
    try:
        other = _plan(jobs, resources)
    except NoPlan:
        return Alternative(change, None, 0)
    return Alternative(change, round(other.finish_s, 1), len(other.schedule.sessions))
