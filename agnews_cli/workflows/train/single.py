"""One model: what will be done and why, and doing it; a run that is finished is recognised."""

from __future__ import annotations

import importlib.util
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime

from agnews_cli.core.graph import shapes
from agnews_cli.core.graph.shapes import Single
from agnews_cli.core.run.choose import Finish, PassedOver, choose
from agnews_cli.core.run.job import CandidateKind, Event, ReaderLeft, TestOrder, TrainJob
from agnews_cli.core.run.method import WordCounts
from agnews_cli.core.run.needs import Needs
from agnews_cli.core.run.preset import Preset
from agnews_cli.core.run.state import RunState
from agnews_cli.core.run.work import Evaluate
from agnews_cli.core.text import duration
from agnews_cli.errors import (
    ExtraMissing,
    HubUnreachable,
    Interrupted,
    NothingFits,
    PackageMissing,
)
from agnews_cli.host import network
from agnews_cli.store.data import datasets
from agnews_cli.store.disk import names
from agnews_cli.store.disk.home import cache
from agnews_cli.store.model import models
from agnews_cli.store.run import runs
from agnews_cli.store.settings import catalogue, presets
from agnews_cli.workflows.forecast.costs import Ground
from agnews_cli.workflows.forecast.outlook import ahead, term
from agnews_cli.workflows.runs import stores
from agnews_cli.workflows.sessions import session
from agnews_cli.workflows.sessions.watch import stopped
from agnews_cli.workflows.train import jobs, other_test, suited, within_limits
from agnews_cli.workflows.train.plans import Plan
from agnews_cli.workflows.train.result import Result, result_of
from agnews_cli.workflows.train.scene import HUB_TIMEOUT_S, Scene
from agnews_cli.workflows.train.weights import weights_of

_TRAINING_MODULES = (
    "torch",
    "transformers",
    "accelerate",
    "peft",
    "safetensors",
    "sklearn",
)
_PACKAGES = {
    "training.optimizer=adamw_8bit": "bitsandbytes",
    "method.kind=qlora": "bitsandbytes",
}


# ---- deciding -----------------------------------------------------------------------------------


def prepare(scene: Scene, given: Preset | None, why_given: Sequence[str]) -> Plan:
    """What `given` means here; where it is None, the preset that fits.

    Raises NothingFits, MethodUnsuited.
    """
    wish, device = scene.wish, scene.platform.accelerator
    passed: tuple[PassedOver, ...] = ()
    if given is not None:
        preset, model, reasons = given, located(given, scene.hub), [*why_given]
        suited.require(preset, model)
    else:
        preset, model, why, passed = _best_that_fits(scene)
        reasons = [f"preset {preset.name}: {why}"]
        reasons += within_limits.require(Single(preset), scene.request, is_typed=True)
    reasons.append(f"weights: {model.note}")
    candidates, why = candidates_of(preset, wish.budget_s, on_cpu=device.kind == "cpu")
    reasons.append(why)
    names.require_unicode(model.path_or_id)
    preset = at_place(preset, model)
    single = Single(preset, weights_of(preset))
    graph = shapes.graph_of(
        single, scene.dataset, wish.seed, limit=wish.limit_train, budget_s=wish.budget_s
    )
    asked_again = other_test.reason(scene.store, graph)
    if asked_again:
        reasons.append(asked_again)
    elif wish.budget_s is None:
        ground = Ground(scene.store, cpu=device)
        data, platform = scene.dataset, scene.platform
        reasons += ahead(graph, single, data, platform, ground=ground, left_s=scene.session_s)
    return Plan(
        scene=scene,
        preset=preset,
        model=model,
        graph=graph,
        candidates=candidates,
        reasons=(*scene.reasons, *reasons),
        passed_over=passed,
    )


def located(preset: Preset, hub: Callable[[], bool]) -> models.Resolved:
    """Where its weights are. Raises HubUnreachable."""
    return models.of_preset(preset, hub=hub, endpoint=network.endpoint(), timeout_s=HUB_TIMEOUT_S)


def _best_that_fits(
    scene: Scene,
) -> tuple[Preset, models.Resolved, str, tuple[PassedOver, ...]]:
    """The preset that is chosen, its weights, why, and what was passed over. Raises NothingFits."""
    wish, data, device = scene.wish, scene.dataset, scene.platform.accelerator
    there: dict[str, models.Resolved] = {}
    ground = Ground(scene.store, cpu=device)
    until_s = scene.request.session.until_s

    def why_unavailable(preset: Preset) -> str | None:
        if (why := suited.why_not_here(preset, scene.platform)) is not None:
            return why
        try:
            there[preset.name] = located(preset, scene.hub)
        except HubUnreachable as error:
            return error.message
        return suited.why_not(preset, there[preset.name])

    def ends(preset: Preset) -> Finish | None:
        if until_s is None or wish.budget_s is not None:  # a budget is kept by training less
            return None
        single, left_s = Single(preset), scene.session_s or until_s
        graph = shapes.graph_of(single, data, wish.seed, limit=wish.limit_train)
        facts = (graph, single, data, scene.platform)
        return term(*facts, ground=ground, left_s=left_s, until_s=until_s)

    tuned = (p for p in presets.load_all() if p.is_chosen)  # others are asked for by name
    every = [presets.with_settings(p, wish.changes) for p in tuned]
    needs, memory_bytes = Needs(catalogue.load()), scene.platform.memory_bytes
    choice = choose(
        every,
        device,
        wish.goal,
        why_unavailable=why_unavailable,
        rows=min(data.train.rows, wish.limit_train or data.train.rows),
        term=ends,
        need=lambda p: needs.of(p.model, p.method, p.training, device, memory_bytes),
    )
    passed = choice.passed_over
    if choice.preset is None:
        raise NothingFits(reasons="\n".join(f"  {p.name}: {p.reason}" for p in passed))
    return choice.preset, there[choice.preset.name], "; ".join(choice.reasons), passed


def candidates_of(
    preset: Preset, budget_s: float | None, *, on_cpu: bool
) -> tuple[tuple[CandidateKind, ...], str]:
    """What is trained, in this order, and why."""
    if isinstance(preset.method, WordCounts):
        is_forest = preset.method.classifier == "random_forest"
        return ("forest" if is_forest else "linear",), f"{preset.method.title} alone, as asked"
    if not preset.training.yardstick:
        return ("finetune",), "training.yardstick: the fine-tuned model alone, as asked"
    if budget_s is None:
        return ("linear", "finetune"), (
            "no budget: the fine-tuned model is the plan, a linear model its yardstick; which "
            "validates better is delivered"
        )
    given = f"budget {duration.show(budget_s)}"
    if on_cpu:
        return ("linear", "embedding", "finetune"), (
            f"{given} on a CPU: a linear model first, then what the measured speed lets fit; the "
            "best on validation rows is delivered"
        )
    return ("linear", "finetune"), f"{given}: the fine-tuned model is fitted to it"


def at_place(preset: Preset, model: models.Resolved) -> Preset:
    """A folder's model by its whole path: the next command may be typed elsewhere."""
    if model.source != "folder":
        return preset
    return preset.model_copy(
        update={"model": preset.model.model_copy(update={"id": model.path_or_id})}
    )


# ---- doing --------------------------------------------------------------------------------------


def carry_out(
    plan: Plan, *, show: Callable[[Event], None], lane: session.Lane | None = None
) -> Result:
    """Train and evaluate as planned; a run that is finished already is recognised.

    `lane`: where it is one of several that are trained at once.
    """
    try:
        return _carried_out(plan, show, lane)
    except KeyboardInterrupt:  # outside of training, which hears of signals itself
        raise _interrupted(plan) from None


def _carried_out(plan: Plan, show: Callable[[Event], None], lane: session.Lane | None) -> Result:
    request = plan.scene.request
    there = finished(plan, show)
    if there is not None and not request.session.fresh:
        return there
    require_training_modules()
    require_packages(plan.preset)
    # A model and two checkpoints; snapshots lie in these, and whole in folders of their own.
    whole = 4 * plan.preset.model.parameters * (3 + plan.preset.training.cycles)
    runs.require_space(plan.scene.store, whole + plan.preset.snapshots_bytes + 50_000_000)
    folder = runs.create(
        plan.scene.store,
        plan.run,
        preset=plan.preset,
        dataset=plan.scene.dataset,
        seed=plan.work.seed,
        order=plan.scene.order,
        whole=plan.whole,
        now=datetime.now(UTC),
    )
    if plan.scene.remotes and not request.session.fresh:
        bring(plan.scene, folder, show)
        there = finished(plan, show)
        if there is not None:
            return there
    evaluation = other_test.all_that_is_left(plan)
    if evaluation is not None and not request.session.fresh:
        outcome = other_test.carry_out(plan, evaluation, job_of(plan, folder), show=show, lane=lane)
        return result_of(plan, folder, outcome, show, was_there=False)
    job = job_of(plan, folder)
    outcome = session.train(
        job,
        folder,
        plan.scene.platform,
        processes=1 if job.is_light else plan.scene.processes,
        show=show,
        takeover=request.session.takeover,
        is_fresh=request.session.fresh,
        remotes=plan.scene.remotes,
        test=_test_order(plan),
        lane=lane,
        track=request.session.track,
    )
    return result_of(plan, folder, outcome, show, was_there=False)


def job_of(plan: Plan, folder: runs.RunFolder) -> TrainJob:
    wish, options, work = plan.scene.request.wish, plan.scene.request.session, plan.work
    rows = datasets.RowCache.of(cache()).rows(plan.scene.dataset)
    return TrainJob(
        run=plan.run,
        nodes=tuple(plan.graph.nodes),
        folder=str(folder.path),
        cache=str(cache()),
        preset=plan.preset.model_copy(update={"data": work.rows.data}),
        model_path=plan.model.path_or_id,
        dataset=plan.scene.dataset,
        rows={split: str(path) for split, path in rows.items() if split != "test"},
        seed=work.seed,
        limit_train=plan.scene.limit_train,
        fold=work.rows.fold,
        folds=work.rows.folds,
        teacher=tuple(
            map(str, (*plan.teacher, *(path for path in plan.teacher_held if path.is_file())))
        ),
        distillation=work.distillation,
        has_unlabelled=work.has_unlabelled,
        candidates=plan.candidates,
        blend=wish.budget_s is not None,
        is_inexact=options.inexact,
        save_every_s=options.save_every_s,
        trace=options.trace,
        beyond=within_limits.kept(plan.preset, wish.justify),
        **plan.scene.of_any_job,
    )


def _test_order(plan: Plan) -> TestOrder | None:
    """The test rows, where they are to be asked of this model."""
    every = (node for node in plan.graph.nodes.values() if isinstance(node.work, Evaluate))
    evaluation = next(every, None)
    if evaluation is None:
        return None
    return jobs.test_order(plan.scene, evaluation, "what training chose, when it had chosen")


def require_training_modules() -> None:
    """Raises ExtraMissing."""
    for module in _TRAINING_MODULES:
        if importlib.util.find_spec(module) is None:
            raise ExtraMissing(extra="train", module=module)


def require_packages(preset: Preset) -> None:
    """Raises PackageMissing."""
    asked = {
        "training.optimizer": preset.training.optimizer,
        "method.kind": preset.method.kind,
    }
    for setting in (f"{field}={value}" for field, value in asked.items()):
        package = _PACKAGES.get(setting)
        if package is not None and importlib.util.find_spec(package) is None:
            raise PackageMissing(setting=setting, package=package)


def _interrupted(plan: Plan) -> Interrupted:
    """Before training, or when it is over."""
    folder = runs.RunFolder(plan.scene.store / plan.run)
    ended = folder.ended()
    if ended is not None and ended.state == RunState.COMPLETED:
        kept = f"the run is finished and its model is in {folder.path}"
        return Interrupted(kept=kept, next="The same command shows the result.")
    return stopped(folder, [signal.SIGINT], remotes=plan.scene.remotes)


def bring(scene: Scene, folder: runs.RunFolder, show: Callable[[Event], None]) -> None:
    """Pull what further stores have of this run, where it is newer, and say so."""
    pulled = stores.bring(scene.remotes, folder)
    lines = [("note", f"{what} comes from {address}") for what, address in pulled.parcels]
    lines += [("warning", f"{what} is passed over: {why}") for what, why in pulled.skipped]
    for kind, text in lines:
        facts = {"kind": kind, "at": datetime.now(UTC).isoformat(), "data": {"text": text}}
        elapsed_s = time.monotonic() - scene.request.started_monotonic_s
        with suppress(ReaderLeft):  # the watch will hear of it
            show(Event.model_validate(facts | {"elapsed_s": elapsed_s}))


def finished(plan: Plan, show: Callable[[Event], None]) -> Result | None:
    """The result where it is there; None where something of it is still to be done."""
    folder = runs.RunFolder(plan.scene.store / plan.run)
    outcome = folder.ended()
    if outcome is None or outcome.state != RunState.COMPLETED or folder.evaluated() is None:
        return None
    if plan.graph.left(folder.done()).nodes:  # evaluated on other test rows
        return None
    return result_of(plan, folder, outcome, show, was_there=True)
