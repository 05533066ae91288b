"""What work costs: its steps, and what a step takes on each kind of device, with how we know it.

One model for what `auto` announces, `plan`, `choose` and the wizard. Steps are those of the run's
own schedule for texts of 64 tokens. What a row takes is as a run in the store has measured it, else
as our benchmarks have, else modelled as operations x parameters x tokens over a device's speed. How
many operations a weight is, the method says; activation checkpointing repeats the forward pass: 2
more.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Literal, Protocol

from agnews_cli.core.run.catalogue import Catalogue
from agnews_cli.core.run.dataset import Dataset, File, Form
from agnews_cli.core.run.needs import ASKED_BYTES, Needs
from agnews_cli.core.run.preset import Model, Preset, Training
from agnews_cli.core.run.rows import MOST_VERIFIED, trainings, validating
from agnews_cli.core.run.work import (
    Combine,
    Evaluate,
    Export,
    Predict,
    Recipe,
    RowChoice,
    RunId,
    RunOutput,
    Train,
    Work,
)
from agnews_cli.core.text import duration

TOKENS_A_ROW = 64
"""What a row takes in a batch: AG News has 52 tokens, batches are padded."""
POOL_BATCHES = 64
"""Rows of about so many batches are sorted by length together."""
COMBINE_S = 15.0
"""Averaging or stacking files of answers, its process included: 5 to 12 s on two cores."""
MOST_CPU_PARAMETERS = 30_000_000
"""Above this, fine-tuning on a CPU takes hours for the row counts people have, and memory that
nobody checked."""
_FORWARD = 0.3
"""A row that is predicted passes forwards alone: so much of a trained one (benchmarks/RESULTS.md).
"""
_READ_ROWS_A_SECOND = 3_200.0
"""Reading and tokenising: 600,000 rows of 40 words took 186 s on two cores (2026-11-28)."""
LINEAR_ROWS_A_SECOND = 530.0
"""A linear model, fitted on 9,000 news items on two cores beside other work (2026-11-28)."""
_LINEAR_ASKED = 0.6
"""A row that it is asked of, of what a row that it is fitted on takes."""
_LINEAR_BYTES = 1_000_000_000
_LOAD_S, _SAVE_S = 60.0, 30.0
_LINEAR_LOAD_S = 10.0
"""Starting the process."""


# ---- steps --------------------------------------------------------------------------------------


def steps_of(training: Training, rows: int, epochs: float) -> int:
    """Optimizer steps over so many rows of one length, as `learn.rows.batches` cuts them."""
    tokens = min(TOKENS_A_ROW, training.max_length)
    pool = max(1, POOL_BATCHES * training.batch_tokens // tokens)
    each = max(1, training.batch_tokens // tokens)
    an_epoch = rows // pool * math.ceil(pool / each) + math.ceil(rows % pool / each)
    whole, part = int(epochs), epochs - int(epochs)
    return max(1, whole * an_epoch + (round(an_epoch * part) if part else 0))


@dataclass(frozen=True, slots=True)
class TrainingSteps:
    """The whole of a training, without early stopping.

    `rows`: counted once in each epoch; some options pass each so often, forwards and backwards.
    `validated`: rows that are asked about, over all validations.
    """

    steps: int
    rows: float
    passes_a_row: int
    validated: float


def schedule(work: Train, data: Dataset) -> TrainingSteps:
    """As the run will make it of texts of 64 tokens."""
    unlabelled = data.unlabelled.rows if work.has_unlabelled and data.unlabelled else 0
    each = [rows + unlabelled for rows in trainings(work.rows, data)]
    training = work.recipe.training
    recipe = training.of_steps(steps_of(training, each[-1], 1))
    steps = sum(steps_of(recipe, rows, recipe.epochs) for rows in each)
    # The best is asked once more, when it is delivered.
    times = math.ceil(recipe.epochs * recipe.evaluations_per_epoch) + 1
    validated = times * sum(validating(work.rows, data))
    return TrainingSteps(steps, sum(each) * recipe.epochs, recipe.passes_in_an_epoch, validated)


# ---- speeds -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds that something takes: likely, at least and at most; and how we know.

    `machine`: what was measured on, or for what a speed was assumed.
    """

    seconds: float
    least_s: float
    most_s: float
    how: Literal["run", "benchmark", "model"]
    machine: str
    source: str
    as_of: str = ""

    def times(self, factor: float) -> Pace:
        return replace(
            self,
            seconds=self.seconds * factor,
            least_s=self.least_s * factor,
            most_s=self.most_s * factor,
        )

    def plus(self, other: Pace) -> Pace:
        return replace(
            self,
            seconds=self.seconds + other.seconds,
            least_s=self.least_s + other.least_s,
            most_s=self.most_s + other.most_s,
        )

    def words(self) -> str:
        """`11 to 33 min, as measured on 2 cores`"""
        if self.how == "run":
            return f"about {duration.show(self.seconds)}, at the speed of {self.source}"
        if self.how == "benchmark":
            return f"{self._span()}, as measured on {self.machine}"
        return f"about {duration.show(self.seconds)} by the model of cost; nobody measured it"

    def _span(self) -> str:
        for unit, unit_s in (("h", 3600), ("min", 60)):
            if self.most_s >= 2 * unit_s:
                least, most = (max(1, round(s / unit_s)) for s in (self.least_s, self.most_s))
                return f"{most} {unit}" if least == most else f"{least} to {most} {unit}"
        return f"at most {max(1, round(self.most_s)):.0f} s"


@dataclass(frozen=True, slots=True)
class Speed:
    """Row passes a second of one model, trained whole: the slowest and the fastest measured. A row
    that validates counts as `_FORWARD` of a pass.

    Nothing is carried over to another model, to a GPU or to more cores, and texts are taken to be
    as long as those measured, news items of about 52 tokens.
    """

    model: str
    device: str
    has_fast_bf16: bool
    slow: float
    fast: float
    machine: str
    source: str
    as_of: str


_MINILM = "sentence-transformers/all-MiniLM-L6-v2"
SPEEDS: tuple[Speed, ...] = (
    # Threads that sleep, and threads that spin.
    Speed(
        *(_MINILM, "cpu", True, 58, 91, "2 cores with AMX"),
        source="benchmarks/RESULTS.md",
        as_of="2026-11-23",
    ),
    # 9,500 rows, R-Drop: 3 epochs in 37 min in fp32 beside other work; 4 in 18 min 40 s in bf16.
    Speed(
        *(_MINILM, "cpu", False, 26, 70, "2 cores"),
        source="benchmarks/RESULTS.md",
        as_of="2026-11-25",
    ),
)


class Rated(Protocol):
    """How fast a kind of device is taken to be."""

    @property
    def tflops(self) -> float: ...
    @property
    def source(self) -> str: ...
    @property
    def as_of(self) -> date: ...


@dataclass(frozen=True, slots=True)
class KnownSpeeds:
    """What is known of speeds, of one recipe: `devices` by word (`T4`, `cpu`); `examples_per_s`,
    where runs of it have measured them, and which; and whether the CPU that is meant has bf16."""

    devices: Mapping[str, Rated] = field(default_factory=dict)
    examples_per_s: Mapping[str, float] = field(default_factory=dict)
    runs: str = ""
    has_fast_bf16: bool = False
    load_s: float | None = None
    """From the start of a process to the first step, where a run has shown it."""
    save_s: float | None = None


def paces(recipe: Recipe, model: Model, known: KnownSpeeds, passes_a_row: int) -> dict[str, Pace]:
    """What a pass of a row takes, by device; a device that is not named cannot run it, or nobody
    knows how fast."""
    found = {
        device: _modelled(recipe, model, device, rated)
        for device, rated in known.devices.items()
        if device != "cpu" or model.parameters <= MOST_CPU_PARAMETERS
    }
    for speed in SPEEDS:
        is_it = (speed.model, speed.has_fast_bf16) == (model.id, known.has_fast_bf16)
        if is_it and recipe.method.kind == "full" and recipe.network is None:
            least_s, most_s = 1 / speed.fast, 1 / speed.slow
            facts = (speed.machine, speed.source, speed.as_of)
            likely_s = math.sqrt(least_s * most_s)
            found[speed.device] = Pace(likely_s, least_s, most_s, "benchmark", *facts)
    for device, per_s in known.examples_per_s.items():
        if per_s > 0:
            row_s = 1 / (per_s * passes_a_row)
            found[device] = Pace(row_s, row_s, row_s, "run", device, known.runs)
    return found


def _modelled(recipe: Recipe, model: Model, device: str, rated: Rated) -> Pace:
    tokens = min(TOKENS_A_ROW, recipe.training.max_length)
    passes = recipe.method.flops_a_weight
    if recipe.training.gradient_checkpointing:
        passes += 2.0
    row_s = passes * model.parameters * tokens / (rated.tflops * 1e12)
    return Pace(row_s, row_s, row_s, "model", device, rated.source, str(rated.as_of))


def reading_s(rows: int) -> float:
    """Reading and tokenising so many rows."""
    return rows / _READ_ROWS_A_SECOND


# ---- work ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Cost:
    """`steps`, of which each takes a `Pace` on a device; a device that is missing cannot run it.

    Each session of it begins with `load_s` and ends with `save_s`.
    """

    steps: int
    paces: Mapping[str, Pace]
    memory_bytes: int = 0
    load_s: float = _LOAD_S
    save_s: float = _SAVE_S
    is_divisible: bool = True

    @property
    def step_s(self) -> dict[str, float]:
        return {device: pace.seconds for device, pace in self.paces.items()}

    def takes(self, device: str, steps: int | None = None) -> Pace | None:
        """All of it, or so many steps; None where nobody knows."""
        pace = self.paces.get(device)
        return None if pace is None else pace.times(self.steps if steps is None else steps)


@dataclass(frozen=True, slots=True)
class Costs:
    """The cost of any work of a graph.

    `models`: facts by weights; `known`: speeds by recipe; `work_of`: the work of a run, None where
    it is of another graph.
    """

    data: Dataset
    models: Mapping[str, Model]
    known: Callable[[Recipe], KnownSpeeds]
    work_of: Callable[[RunId], Work | None] = lambda run: None
    memory: Callable[[Recipe, Model], int] = lambda recipe, model: Needs(Catalogue({})).peak_bytes(
        model, recipe.method, recipe.training
    )

    def __call__(self, work: Work) -> Cost:
        match work:
            case Train():
                return self._train(work)
            case Predict():
                rows = self._rows_of(work)
                each = self._asked(work.model, rows)
                steps = max(1, rows * TOKENS_A_ROW // 8192)
                paces = {device: pace.times(1 / steps) for device, pace in each.items()}
                return Cost(steps, paces, self._bytes(work.model), *self._begins_s(work.model))
            case Evaluate() if not (work.beside and self._is_combined(work.model)):
                rows = self.data.test.rows if self.data.test else 0
                each = self._asked(work.model, rows * (1 + self._snapshots(work.model)))
                if isinstance(self.work_of(work.model.run), Export):
                    each = {"cpu": self._asked_on_cpu(work.model, rows)}
                memory, begins_s = self._bytes(work.model), self._begins_s(work.model)
                return Cost(1, each, memory, *begins_s, is_divisible=False)
            case Export():  # it and its model are asked about some of the rows that validated
                each = {"cpu": self._asked_on_cpu(work.model, 2 * MOST_VERIFIED).plus(_little())}
                memory, begins_s = self._bytes(work.model), self._begins_s(work.model)
                return Cost(1, each, memory, *begins_s, is_divisible=False)
            case _:  # on predictions that are there, whose members were asked
                return Cost(1, {"cpu": _little()}, 0, 0.0, 0.0, is_divisible=False)

    def _snapshots(self, source: RunOutput) -> int:
        """How many are evaluated with it."""
        work = self.work_of(source.run)
        return work.recipe.training.cycles if isinstance(work, Train) else 0

    def _is_combined(self, source: RunOutput) -> bool:
        return isinstance(self.work_of(source.run), Combine)

    def _train(self, work: Train) -> Cost:
        if not work.recipe.method.needs_weights:
            rows = sum(trainings(work.rows, self.data))
            each = {"cpu": _linear(rows)}
            return Cost(1, each, _LINEAR_BYTES, _LINEAR_LOAD_S, 0.0, is_divisible=False)
        whole = schedule(work, self.data)
        passed = whole.rows * whole.passes_a_row + _FORWARD * whole.validated
        a_step = passed / whole.steps
        each = {device: pace.times(a_step) for device, pace in self._passes(work).items()}
        memory = self.memory(work.recipe, self._model(work.recipe))
        return Cost(whole.steps, each, memory, *self._load_and_save_s((work,)))

    def _begins_s(self, source: RunOutput) -> tuple[float, float]:
        """The same of asking a model; as usual where nobody knows what it is."""
        works = self._trained(source)
        return self._load_and_save_s(works) if works else (_LOAD_S, _SAVE_S)

    def _load_and_save_s(self, works: Sequence[Train]) -> tuple[float, float]:
        """What a session takes to begin with these models and to save: as runs have shown it, of
        the slowest."""
        known = [self.known(work.recipe) for work in works if work.recipe.method.needs_weights]
        load = (_LOAD_S if one.load_s is None else one.load_s for one in known)
        save = (_SAVE_S if one.save_s is None else one.save_s for one in known)
        return max(load, default=_LINEAR_LOAD_S), max(save, default=0.0)

    def _passes(self, work: Train) -> dict[str, Pace]:
        known, passes_a_row = self.known(work.recipe), schedule(work, self.data).passes_a_row
        return paces(work.recipe, self._model(work.recipe), known, passes_a_row)

    def _asked(self, source: RunOutput, rows: int) -> dict[str, Pace]:
        """What predicting so many rows takes, on the devices that can ask every model behind it."""
        works = self._trained(source)
        tuned = [work for work in works if work.recipe.method.needs_weights]
        found: dict[str, Pace] = {}
        for number, work in enumerate(tuned):
            row = self._passes(work)
            mine = {device: pace.times(_FORWARD * rows) for device, pace in row.items()}
            shared = {
                device: found[device].plus(mine[device]) for device in found if device in mine
            }
            found = shared if number else mine
        linear = [_linear(rows).times(_LINEAR_ASKED)] * (len(works) - len(tuned))
        if linear and not tuned:
            found, linear = {"cpu": linear[0]}, linear[1:]
        for pace in linear:  # every machine has a CPU
            found = {device: each.plus(pace) for device, each in found.items()}
        return found

    def _asked_on_cpu(self, source: RunOutput, rows: int) -> Pace:
        """As long as the model in fp32 takes; some seconds where nobody knows how long that is."""
        return self._asked(source, rows).get("cpu", _little())

    def _bytes(self, source: RunOutput) -> int:
        models = [self._model(work.recipe) for work in self._trained(source)]
        return max((4 * m.parameters for m in models), default=0) + ASKED_BYTES

    def _trained(self, source: RunOutput) -> tuple[Train, ...]:
        match self.work_of(source.run):
            case Train() as work:
                return (work,)
            case Combine() as work:
                models = [one for member in work.members for one in member.models]
                return tuple(train for one in models for train in self._trained(one))
            case Export() as work:
                return self._trained(work.model)
            case _:
                return ()

    def _rows_of(self, work: Predict) -> int:
        if work.of == "unlabelled":
            return self.data.unlabelled.rows if self.data.unlabelled else 0
        trained = trainings(work.rows, self.data)[-1]
        if work.of == "train":
            return trained
        held = self.data.validation
        return held.rows if held else self.data.train.rows - trained

    def _model(self, recipe: Recipe) -> Model:
        return self.models[recipe.weights]


def _little() -> Pace:
    return Pace(COMBINE_S, 0.0, COMBINE_S, "model", "cpu", "some seconds are put down")


def _linear(rows: int) -> Pace:
    seconds = rows / LINEAR_ROWS_A_SECOND
    return Pace(
        *(seconds, seconds / 2, seconds * 2, "benchmark", "2 cores"),
        source="benchmarks/RESULTS.md",
        as_of="2026-11-28",
    )


def training(preset: Preset, data: Dataset, known: KnownSpeeds, limit: int | None = None) -> Cost:
    """The cost of training one preset's model."""
    recipe = Recipe.of(preset)
    work = Train.model_construct(recipe=recipe, rows=RowChoice(data=preset.data, limit=limit))
    return Costs(data, {recipe.weights: preset.model}, lambda _: known)(work)


def like_news(rows: int, test_rows: int = 0) -> Dataset:
    """Data that nobody named: four even classes of news, of which only the number is known."""
    even = tuple(rows // 4 + (k < rows % 4) for k in range(4))
    return Dataset(
        name=f"{rows:,} rows",
        train=_nowhere(rows, even),
        test=_nowhere(test_rows, ()) if test_rows else None,
        text_columns=("text",),
        label_column="label",
        labels=tuple("abcd"),
        label_values=tuple("abcd"),
    )


def _nowhere(rows: int, class_rows: Sequence[int]) -> File:
    form = Form(format="csv")
    return File(path="", form=form, rows=rows, sha256=f"{rows} rows", class_rows=tuple(class_rows))
