"""From what was asked to a graph: one model, an ensemble, or a student and its teacher.

All nodes of a graph share their rows, whatever their models and seeds: else members could not be
compared on rows that none has seen, and a teacher might have seen the student's validation rows.
"""

from __future__ import annotations

from dataclasses import dataclass

from agnews_cli.core.graph.graph import Graph, Growing
from agnews_cli.core.run.combiner import Average, Combiner, Stack
from agnews_cli.core.run.dataset import Dataset
from agnews_cli.core.run.preset import Data, Preset
from agnews_cli.core.run.work import (
    TEST,
    VALIDATION,
    Combine,
    EnsembleMember,
    Evaluate,
    Predict,
    Recipe,
    RowChoice,
    RunOutput,
    Train,
)

_AVERAGE = Average()


@dataclass(frozen=True, slots=True)
class Single:
    """One model. `weights`: their content, where the preset's model id is a folder's name."""

    preset: Preset
    weights: str | None = None
    seed: int = 0
    """Added to the seed that is asked for."""

    @property
    def name(self) -> str:
        return self.preset.name


@dataclass(frozen=True, slots=True)
class Ensemble:
    """Members and how they become one; `folds`: each is also trained without each part by turns,
    so that a combiner learns from what they say of rows that they have not seen."""

    name: str
    members: tuple[Single, ...]
    how: Combiner = _AVERAGE
    folds: int | None = None


@dataclass(frozen=True, slots=True)
class Distilled:
    """A student that learns from a teacher, which may itself be any of these."""

    name: str
    teacher: AnyPreset
    student: Single


AnyPreset = Single | Ensemble | Distilled


def seeds(preset: Preset, members: int, weights: str | None = None) -> Ensemble:
    """The same recipe so many times, with other seeds."""
    singles = tuple(Single(preset, weights, seed=k) for k in range(members))
    return Ensemble(f"{preset.name}-ensemble", singles)


def stacking(preset: Preset, folds: int, weights: str | None = None) -> Ensemble:
    """One recipe, and a model over what it says of rows that it has not seen."""
    return Ensemble(f"{preset.name}-stack", (Single(preset, weights),), Stack(), folds)


def graph_of(
    preset: AnyPreset,
    data: Dataset,
    seed: int = 0,
    *,
    limit: int | None = None,
    budget_s: float | None = None,
) -> Graph:
    """All that is to be done. Without test rows there is no evaluation."""
    rows = RowChoice(data=_data(preset), limit=limit)
    making = _Making(Growing(data), rows, seed, budget_s)
    made = making.of(preset)
    return making.growing.towards(made.evaluation or made.model)


def _data(preset: AnyPreset) -> Data:
    match preset:
        case Single():
            return preset.preset.data
        case Ensemble():
            return preset.members[0].preset.data
        case Distilled():
            return preset.student.preset.data


@dataclass(frozen=True, slots=True)
class _Made:
    model: RunOutput
    evaluation: RunOutput | None


@dataclass(frozen=True, slots=True)
class _Making:
    growing: Growing
    rows: RowChoice
    seed: int
    budget_s: float | None

    def of(self, preset: AnyPreset, title: str = "") -> _Made:
        match preset:
            case Single():
                return self.single(preset, title or "train")
            case Ensemble():
                return self.ensemble(preset, title or _JOINS[preset.how.kind])
            case Distilled():
                return self.distilled(preset, title or "student")

    def single(self, one: Single, title: str, teacher: tuple[RunOutput, ...] = ()) -> _Made:
        model = self.growing.add(one.name, title, self.train(one, self.rows, teacher))
        return self.evaluated(one.name, title, model)

    def train(self, one: Single, rows: RowChoice, teacher: tuple[RunOutput, ...] = ()) -> Train:
        return Train(
            recipe=Recipe.of(one.preset, one.weights, has_budget=self.budget_s is not None),
            rows=rows,
            seed=self.seed + one.seed,
            budget_s=self.budget_s,
            teacher=teacher,
        )

    def ensemble(self, asked: Ensemble, title: str) -> _Made:
        members, beside = [], []
        for number, one in enumerate(asked.members):
            called = f"member {number}" if len(asked.members) > 1 else "all rows"
            made = self.single(one, called)
            unseen = self.by_turns(one, called, asked.folds) if asked.folds else ()
            members.append(EnsembleMember(models=(made.model,), unseen=unseen))
            beside += [made.evaluation] if made.evaluation else []
        work = Combine(how=asked.how, members=tuple(members))
        model = self.growing.add(asked.name, title, work)
        return self.evaluated(asked.name, title, model, tuple(beside))

    def by_turns(self, one: Single, title: str, folds: int) -> tuple[RunOutput, ...]:
        """What trainings without each part say of the part that they have not seen."""
        made = []
        for fold in range(folds):
            rows = self.rows.model_copy(update={"fold": fold, "folds": folds})
            called = f"fold {fold}" if title == "all rows" else f"{title} fold {fold}"
            run = self.growing.add(one.name, called, self.train(one, rows)).run
            made.append(RunOutput(run=run, part=VALIDATION))
        return tuple(made)

    def distilled(self, asked: Distilled, title: str) -> _Made:
        teacher = self.of(asked.teacher, "teacher")
        predicted = self.growing.add(
            asked.teacher.name,
            "teacher's predictions",
            Predict(model=teacher.model, rows=self.rows, of="train"),
        )
        answers = RunOutput(run=predicted.run, part="predictions/train")
        model = self.growing.add(
            asked.name, title, self.train(asked.student, self.rows, (answers,))
        )
        beside = (teacher.evaluation,) if teacher.evaluation else ()
        return self.evaluated(asked.name, title, model, beside)

    def evaluated(
        self, label: str, title: str, model: RunOutput, beside: tuple[RunOutput, ...] = ()
    ) -> _Made:
        if self.growing.data.test is None:
            return _Made(model, None)
        others = tuple(RunOutput(run=one.run, part=TEST) for one in beside)
        called = "evaluate" if title in _LAST else f"evaluate {title}"
        work = Evaluate(model=model, beside=others)
        return _Made(model, self.growing.add(label, called, work))


_JOINS = {"average": "combine", "stack": "stack"}
_LAST = {"train", "student", *_JOINS.values()}
