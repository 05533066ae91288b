"""`agnews auto`: from nothing to a trained, evaluated, usable classifier, on whatever machine.

`prepare` looks and decides, and writes nothing but the cache; `carry_out` does what was decided.
"""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import agnews_cli
from agnews_cli.core.graph import shapes
from agnews_cli.core.graph.graph import Graph
from agnews_cli.core.graph.shapes import AnyPreset, Single
from agnews_cli.core.machine.accelerator import Accelerator, Kind
from agnews_cli.core.machine.platform import Platform, describe
from agnews_cli.core.run.allowance import bytes_within, rows_within
from agnews_cli.core.run.choose import PassedOver, choose
from agnews_cli.core.run.dataset import Dataset, Reading
from agnews_cli.core.run.evaluation import Evaluation
from agnews_cli.core.run.job import CandidateKind, Event, Outcome, ReaderLeft, TestOrder, TrainJob
from agnews_cli.core.run.preset import Preset
from agnews_cli.core.run.request import FIELDS, SessionOptions, Wish, as_record, written
from agnews_cli.core.run.state import RunState
from agnews_cli.core.run.work import RunId
from agnews_cli.core.text import duration
from agnews_cli.errors import (
    BudgetTooShort,
    CannotWrite,
    CheckpointDamaged,
    ExtraMissing,
    HubUnreachable,
    Interrupted,
    LimitTooSmall,
    NoDiskSpace,
    NothingFits,
)
from agnews_cli.host import network, probe
from agnews_cli.host.detect import detect
from agnews_cli.store.data import datasets
from agnews_cli.store.disk import files, names
from agnews_cli.store.disk.home import cache
from agnews_cli.store.model import models
from agnews_cli.store.remotes.remote import Remote
from agnews_cli.store.run import runs
from agnews_cli.store.settings import presets
from agnews_cli.workflows.forecast.costs import Ground
from agnews_cli.workflows.forecast.outlook import ahead
from agnews_cli.workflows.hours.deadline import session_left_s
from agnews_cli.workflows.prediction import submission
from agnews_cli.workflows.prediction.submission import Submission
from agnews_cli.workflows.runs import stores
from agnews_cli.workflows.sessions import session
from agnews_cli.workflows.sessions.couriers import Note
from agnews_cli.workflows.sessions.lasting import lasting
from agnews_cli.workflows.sessions.watch import stopped
from agnews_cli.workflows.train import afterwards, option_bounds
from agnews_cli.workflows.train.recipe import recipe
from agnews_cli.workflows.train.weights import weights_of

RESULT_SCHEMA = "agnews.result/1"
_HOME_DATASET = "fancyzhx/ag_news"
SAMPLE = "sample:"
"""Names the built-in sample as `data`, wherever the package lies."""
_LEAST_BUDGET_S = 30.0
_CLOSING_S = 2.0  # from the last save to the end of this process
_HUB_TIMEOUT_S = 5.0
_TRAINING_MODULES = (
    "torch",
    "transformers",
    "accelerate",
    "peft",
    "safetensors",
    "sklearn",
)


@dataclass(frozen=True, slots=True)
class Request:
    """What the user asked for; the defaults are what `agnews auto` alone means."""

    wish: Wish = Wish()  # noqa: RUF009
    session: SessionOptions = SessionOptions()  # noqa: RUF009
    is_rehearsal: bool = False
    """Nothing is to be written, not even what a probe found."""
    started_monotonic_s: float = field(default_factory=time.monotonic)

    @classmethod
    def of(cls, *, is_rehearsal: bool = False, **asked: Any) -> Request:
        """From fields of both by their names: `Request.of(data="reviews.csv", processes=2)`."""
        wish, session = (
            {one.name: asked.pop(one.name) for one in FIELDS[kind] if one.name in asked}
            for kind in (Wish, SessionOptions)
        )
        if asked:
            raise TypeError(f"nothing is called {', '.join(asked)}")
        return cls(Wish(**wish), SessionOptions(**session), is_rehearsal)


@dataclass(frozen=True, slots=True)
class Plan:
    """What `agnews auto` will do, and why."""

    request: Request
    platform: Platform
    dataset: Dataset
    limit_train: int | None
    """How many training rows are used at most; None: all."""
    session_s: float | None
    """How long this session may last; the run is paused then."""
    preset: Preset
    model: models.Resolved
    graph: Graph
    store: Path
    remotes: tuple[Remote, ...]
    candidates: tuple[CandidateKind, ...]
    processes: int
    reasons: tuple[str, ...]
    passed_over: tuple[PassedOver, ...]
    is_lost_with_session: bool = False
    """Whether all that is saved lies on a disk that ends with the machine's session."""

    @property
    def run(self) -> RunId:
        """The run whose folder holds it all."""
        return self.graph.place

    def as_json(self, state: str) -> dict[str, Any]:
        """The part of the result that is known before training (docs/json.md)."""
        device = self.platform.accelerator
        return {
            "schema": RESULT_SCHEMA,
            "version": agnews_cli.__version__,
            "run": self.run,
            "state": state,
            "platform": self.platform.name,
            "run_mode": self.platform.run_mode,
            "accelerator": {"kind": device.kind, "name": device.name, "count": device.count},
            "preset": self.preset.name,
            "tier": self.preset.tier,
            "model": self.preset.model.id,
            "method": self.preset.method.kind,
            "seed": self.request.wish.seed,
            "budget_s": self.request.wish.budget_s,
            "asked": written(self.request.wish),
            "data": {
                "name": self.dataset.name,
                "labels": list(self.dataset.labels),
                "train_rows": self.dataset.train.rows,
                "used_rows": min(self.limit_train or sys.maxsize, self.dataset.train.rows),
                "class_rows": dict(
                    zip(self.dataset.labels, self.dataset.train.class_rows, strict=True)
                ),
                "text_columns": list(self.dataset.text_columns),
                "label_column": self.dataset.label_column,
                "warnings": list(self.dataset.warnings),
                "test_rows": self.dataset.test.rows if self.dataset.test else None,
            },
            "store": str(self.store),
            "stores": [remote.address for remote in self.remotes],
            "folder": str(self.store / self.run),
            "is_lost_with_session": self.is_lost_with_session,
            "reasons": list(self.reasons),
        }


@dataclass(frozen=True, slots=True)
class Result:
    """A finished run."""

    plan: Plan
    folder: runs.RunFolder
    outcome: Outcome
    evaluation: Evaluation
    wall_s: float
    was_there: bool
    """Whether the run was finished before this command."""
    submission: Submission | None = None
    """What was predicted for a competition."""

    @property
    def use(self) -> afterwards.Use:
        usual = runs.default_store(self.plan.platform.name).absolute()
        store = self.plan.store
        return afterwards.use(self.folder, store=None if store == usual else store)

    def as_json(self) -> dict[str, Any]:
        """Schema `agnews.result/1` (docs/json.md)."""
        return self.plan.as_json(self.outcome.state) | {
            "wall_s": round(self.wall_s, 2),
            "was_there": self.was_there,
            "candidates": [c.model_dump() for c in self.outcome.candidates],
            "evaluation": self.evaluation.as_json(),
            "why": self.outcome.why,
            "warnings": list(afterwards.warnings(self)),
            "use": self.use.as_json(),
            "better": list(afterwards.better(self)),
            "submission": self.submission.as_json() if self.submission else None,
            "files": {
                "model": str(self.folder.model) if self.folder.model.exists() else None,
                "delivery": str(self.folder.path / "delivery.json"),
                "card": str(self.folder.path / "README.md"),
                "evaluation": str(self.folder.evaluation),
                "predictions": str(self.folder.predictions)
                if self.folder.predictions.exists()
                else None,
                "events": str(self.folder.events),
                "log": str(self.folder.log),
            },
        }


# ---- deciding -----------------------------------------------------------------------------------


def prepare(request: Request, *, show: Callable[[Event], None] | None = None) -> Plan:
    """Look at machine, data and presets, and decide. `show` hears of reading.

    Writes to the cache alone.
    """
    try:
        return _prepare(request, show)
    except KeyboardInterrupt:
        raise Interrupted(kept="nothing was begun", next="") from None


def _prepare(request: Request, show: Callable[[Event], None] | None) -> Plan:
    chosen, wish = require_sense(request), request.wish
    names.require_unicode(wish.data, chosen.folder, wish.preset)
    if wish.budget_s is not None and wish.budget_s < _LEAST_BUDGET_S:
        raise BudgetTooShort(
            given=duration.show(wish.budget_s),
            reason="starting and evaluating alone take longer",
            least=f"{_LEAST_BUDGET_S:.0f}s",
        )
    remotes = stores.connect(chosen.remotes)
    hub = _Once(lambda: network.hub_answers(_HUB_TIMEOUT_S))
    given, why_given = recipe(
        wish.model, wish.preset, wish.changes, hub=hub, timeout_s=_HUB_TIMEOUT_S
    )
    told = datasets.nobody if show is None else _Telling(show, request.started_monotonic_s)
    dataset, reasons = find_data(wish, hub, told, reading=wish.reading)
    platform = detect()
    accelerator, notes = probe.usable(
        platform, processes=request.session.processes, remember=not request.is_rehearsal
    )
    platform = replace(platform, accelerator=accelerator)
    reasons += [f"accelerator: {note}" for note in notes]
    session_s, why = session_left_s(platform, request.session.longest_s)
    reasons += [why] if why else []
    on_cpu = platform.accelerator.kind == "cpu"
    limit_train, too_many = rows_to_use(wish, dataset, platform.accelerator.kind)
    reasons += [too_many] if too_many else []
    store = names.local(chosen.folder or runs.default_store(platform.name)).absolute()
    ground = Ground(store, cpu=platform.accelerator)
    passed: tuple[PassedOver, ...] = ()
    if given is not None:
        preset, model = given, _located(given, hub)
        reasons += why_given
    else:
        preset, model, why, passed = _best_that_fits(wish, platform.accelerator, hub)
        reasons.append(f"preset {preset.name}: {why}")
    reasons.append(f"weights: {model.note}")
    candidates, why = _candidates(preset, wish.budget_s, on_cpu=on_cpu)
    reasons.append(why)
    processes = request.session.processes or max(1, 1 if on_cpu else platform.accelerator.count)
    names.require_unicode(store, cache(), model.path_or_id)
    stays = lasting(platform, store, remotes)
    reasons += [f"storage: {stays.text}"] if stays else []
    if model.source == "folder":  # the next command may be typed elsewhere
        preset = _with_model(preset, model.path_or_id)
    single = Single(preset, weights_of(preset))
    graph = graph_of(wish, single, dataset)
    if wish.budget_s is None:
        reasons += ahead(graph, single, dataset, platform, ground=ground, left_s=session_s)
    return Plan(
        request=request,
        session_s=session_s,
        platform=platform,
        dataset=dataset,
        limit_train=limit_train,
        preset=preset,
        model=model,
        graph=graph,
        store=store,
        remotes=remotes,
        candidates=candidates,
        processes=processes,
        is_lost_with_session=bool(stays and stays.is_lost),
        reasons=(describe(platform), *reasons),
        passed_over=passed,
    )


def _located(preset: Preset, hub: Callable[[], bool]) -> models.Resolved:
    """Where its weights are. Raises HubUnreachable."""
    return models.of_preset(preset, hub=hub, endpoint=network.endpoint(), timeout_s=_HUB_TIMEOUT_S)


def _best_that_fits(
    wish: Wish, accelerator: Accelerator, hub: Callable[[], bool]
) -> tuple[Preset, models.Resolved, str, tuple[PassedOver, ...]]:
    """The preset that is chosen, its weights, why, and what was passed over. Raises NothingFits."""
    located: dict[str, models.Resolved] = {}

    def why_unavailable(preset: Preset) -> str | None:
        try:
            located[preset.name] = _located(preset, hub)
        except HubUnreachable as error:
            return error.message
        return None

    every = [presets.with_settings(p, wish.changes) for p in presets.load_all()]
    choice = choose(every, accelerator, wish.goal, why_unavailable=why_unavailable)
    passed = choice.passed_over
    if choice.preset is None:
        raise NothingFits(reasons="\n".join(f"  {p.name}: {p.reason}" for p in passed))
    return choice.preset, located[choice.preset.name], "; ".join(choice.reasons), passed


def _candidates(
    preset: Preset, budget_s: float | None, *, on_cpu: bool
) -> tuple[tuple[CandidateKind, ...], str]:
    """What is trained, in this order, and why."""
    if not preset.method.needs_weights:
        return ("linear",), "the linear model alone, as asked"
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


def _with_model(preset: Preset, name: str) -> Preset:
    return preset.model_copy(update={"model": preset.model.model_copy(update={"id": name})})


def require_sense(request: Request) -> stores.Chosen:
    """The stores that are meant. Raises OutOfRange, ValueWrong, SetTwice, BadStore, StoresInvalid
    for what can be told without looking at data or machine."""
    option_bounds.require_all(request.wish, request.session)
    _ = request.wish.changes
    return stores.choose(request.session.stores)


def graph_of(wish: Wish, shape: AnyPreset, dataset: Dataset) -> Graph:
    """What is to be done on these data as is wished."""
    return shapes.graph_of(
        shape, dataset, wish.seed, limit=wish.limit_train, budget_s=wish.budget_s
    )


def rows_to_use(wish: Wish, dataset: Dataset, device: Kind) -> tuple[int | None, str]:
    """(how many training rows at most, why fewer than there are). Raises LimitTooSmall."""
    classes, there = len(dataset.labels), dataset.train.rows
    least = datasets.LEAST_ROWS * classes
    if wish.limit_train is not None and wish.limit_train < min(least, there):
        raise LimitTooSmall(given=wish.limit_train, classes=classes, least=least)
    if wish.budget_s is None:
        return wish.limit_train, ""
    within = max(rows_within(wish.budget_s, device), least)
    if within >= min(there, wish.limit_train or there):
        return wish.limit_train, ""
    budget = duration.show(wish.budget_s)
    return within, f"rows: {within:,} of {there:,}, as many as a budget of {budget} can use"


def find_data(
    wish: Wish, hub: Callable[[], bool], told: datasets.Told, *, reading: Reading
) -> tuple[Dataset, list[str]]:
    """The data that are meant, and why these."""
    if wish.data == SAMPLE:
        source, reasons = _sample(), ["data: the built-in sample"]
    elif wish.data is not None:
        source, reasons = wish.data, []
    elif importlib.util.find_spec("datasets") and hub():
        source, reasons = _HOME_DATASET, ["data: AG News from the hub, as no --data was given"]
    else:
        source = _sample()
        reasons = [
            f"no hub answers within {_HUB_TIMEOUT_S:g} s: the built-in sample of 480 news items "
            "and the embedded model are used"
        ]
    most = None if wish.budget_s is None else bytes_within(wish.budget_s)
    rows = datasets.RowCache.of(cache())
    found = datasets.find(source, reading, bytes_at_most=most, told=told, cache=rows)
    reasons += [f"data: {note}" for note in found.notes]
    if rows.trouble:
        reasons.append(f"data: {rows.trouble}")
    return found, reasons


def _sample() -> str:
    return str(Path(agnews_cli.__file__).parent / "sample")


@dataclass(slots=True)
class _Telling:
    """Tells how far reading is, once a second, where it takes longer."""

    show: Callable[[Event], None]
    started_s: float
    _split: str = ""
    _began_s: float = 0.0
    _told_s: float = 0.0

    def __call__(self, split: str, rows: int) -> None:
        now_s = time.monotonic()
        if split != self._split:
            self._split, self._began_s, self._told_s = split, now_s, now_s
        if now_s - self._told_s < 1.0:
            return
        self._told_s = now_s
        per_s = rows / (now_s - self._began_s)
        facts = {"name": f"reading {split} rows", "done": rows, "per_s": round(per_s)}
        moment = datetime.now(UTC).isoformat()
        with suppress(ReaderLeft):  # who trains will hear of it
            self.show(Event(kind="work", at=moment, elapsed_s=now_s - self.started_s, data=facts))


class _Once:
    """Asks at most once."""

    def __init__(self, ask: Callable[[], bool]) -> None:
        self._ask, self._answer = ask, None

    def __call__(self) -> bool:
        if self._answer is None:
            self._answer = self._ask()  # type: ignore[assignment]
        return bool(self._answer)


# ---- doing --------------------------------------------------------------------------------------


def carry_out(plan: Plan, *, show: Callable[[Event], None]) -> Result:
    """Train and evaluate as planned; a run that is finished already is recognised."""
    try:
        return _carried_out(plan, show)
    except KeyboardInterrupt:  # outside of training, which hears of signals itself
        raise _interrupted(runs.RunFolder(plan.store / plan.run)) from None


def _carried_out(plan: Plan, show: Callable[[Event], None]) -> Result:
    request = plan.request
    there = _finished(plan, show)
    if there is not None and not request.session.fresh:
        return there
    for module in _TRAINING_MODULES:
        if importlib.util.find_spec(module) is None:
            raise ExtraMissing(extra="train", module=module)
    runs.require_space(plan.store, 3 * 4 * plan.preset.model.parameters + 50_000_000)
    folder = runs.create(
        plan.store,
        plan.run,
        preset=plan.preset,
        dataset=plan.dataset,
        seed=request.wish.seed,
        order=order_of(plan),
        now=datetime.now(UTC),
    )
    if plan.remotes and not request.session.fresh:
        _bring(plan, folder, show)
        there = _finished(plan, show)
        if there is not None:
            return there
    deadline_s = request.wish.budget_s and request.started_monotonic_s + request.wish.budget_s
    rows = datasets.RowCache.of(cache()).rows(plan.dataset)
    test = TestOrder(dataset=plan.dataset, rows=str(rows["test"]) if "test" in rows else None)
    job = TrainJob(
        run=plan.run,
        nodes=tuple(node.id for node in plan.graph.together(plan.graph[plan.run])),
        folder=str(folder.path),
        cache=str(cache()),
        preset=plan.preset,
        model_path=plan.model.path_or_id,
        dataset=plan.dataset,
        rows={split: str(path) for split, path in rows.items() if split != "test"},
        seed=request.wish.seed,
        limit_train=plan.limit_train,
        candidates=plan.candidates,
        blend=request.wish.budget_s is not None,
        parent_pid=os.getpid(),
        started_monotonic_s=request.started_monotonic_s,
        deadline_monotonic_s=deadline_s,
        is_inexact=request.session.inexact,
        save_every_s=request.session.save_every_s,
        trace=request.session.trace,
        session_end_monotonic_s=plan.session_s
        and request.started_monotonic_s + plan.session_s - _CLOSING_S,
    )
    outcome = session.train(
        job,
        folder,
        plan.platform,
        processes=plan.processes,
        show=show,
        takeover=request.session.takeover,
        is_fresh=request.session.fresh,
        remotes=plan.remotes,
        test=test,
    )
    return _result(plan, folder, outcome, show, was_there=False)


def _interrupted(folder: runs.RunFolder) -> Interrupted:
    """Before training, or when it is over."""
    ended = folder.ended()
    if ended is not None and ended.state == RunState.COMPLETED:
        kept = f"the run is finished and its model is in {folder.path}"
        return Interrupted(kept=kept, next="The same command shows the result.")
    return stopped(folder, [signal.SIGINT])


def _bring(plan: Plan, folder: runs.RunFolder, show: Callable[[Event], None]) -> None:
    """Pull what further stores have of this run, where it is newer, and say so."""
    pulled = stores.bring(plan.remotes, folder)
    lines = [("note", f"{what} comes from {address}") for what, address in pulled.parcels]
    lines += [("warning", f"{what} is passed over: {why}") for what, why in pulled.skipped]
    for kind, text in lines:
        facts = {"kind": kind, "at": datetime.now(UTC).isoformat(), "data": {"text": text}}
        elapsed_s = time.monotonic() - plan.request.started_monotonic_s
        with suppress(ReaderLeft):  # the watch will hear of it
            show(Event.model_validate(facts | {"elapsed_s": elapsed_s}))


def order_of(plan: Plan) -> dict[str, object]:
    """What `agnews resume` needs to ask for this run again, on whatever machine."""
    wish = plan.request.wish
    data = wish.data
    if data is None and plan.dataset.train.form.format != "hub":
        data = SAMPLE
    if data is not None and Path(data).exists():
        data = str(Path(data).absolute())
    return as_record(replace(wish, data=data))


def _finished(plan: Plan, show: Callable[[Event], None]) -> Result | None:
    folder = runs.RunFolder(plan.store / plan.run)
    outcome = folder.ended()
    if outcome is None or outcome.state != RunState.COMPLETED or folder.evaluated() is None:
        return None
    if plan.graph.left(outcome.done).nodes:  # evaluated on other test rows
        return None
    return _result(plan, folder, outcome, show, was_there=True)


def _submission(
    plan: Plan, folder: runs.RunFolder, show: Callable[[Event], None]
) -> Submission | None:
    """What a competition asks for: on Kaggle where a notebook's output is submitted from."""
    data = plan.dataset
    if data.unlabelled is None:
        return None
    place = plan.store.parent if plan.platform.name == "kaggle" else folder.path
    sample = Path(data.sample) if data.sample else None

    def tell(event: Event) -> None:
        with suppress(ReaderLeft):  # the answers are written all the same
            show(event)

    return submission.write(folder, data, sample, place / "submission.csv", show=tell)


def _result(
    plan: Plan,
    folder: runs.RunFolder,
    outcome: Outcome,
    show: Callable[[Event], None],
    *,
    was_there: bool,
) -> Result:
    evaluation = folder.evaluated()
    if evaluation is None:
        raise CheckpointDamaged(path=folder.evaluation, reason="is no evaluation")
    result = Result(
        plan=plan,
        folder=folder,
        outcome=outcome,
        evaluation=evaluation,
        wall_s=time.monotonic() - plan.request.started_monotonic_s,
        was_there=was_there,
        submission=_submission(plan, folder, show),
    )
    if not was_there:
        text = json.dumps(result.as_json(), indent=2, ensure_ascii=False)
        try:
            files.write_text_atomically(folder.path / "result.json", text)
        except (CannotWrite, NoDiskSpace) as error:  # the run is finished all the same
            note = Note(error.message, True).event(plan.request.started_monotonic_s)
            with suppress(ReaderLeft):
                show(note)
    return result
