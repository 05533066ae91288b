"""What is asked for: one model, an ensemble, or a student and its teacher; each within each.

A shape has every preset that it names in its place, so that it says all that is to be trained.
`core.graph.shapes` makes the graph of it.

All models of a shape share their rows, whatever their seeds: else members could not be compared on
rows that none has seen, and a teacher might have seen the student's validation rows.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import chain
from typing import ClassVar

from agnews_cli.core.run.diversity import DiversityLimits
from agnews_cli.core.run.expected import Expected, Measured, Published
from agnews_cli.core.run.preset import Data, Preset, ShortOfTime, Tier
from agnews_cli.core.run.work import (
    GIVEN,
    Average,
    Combiner,
    Distillation,
    Form,
    Recipe,
    RunId,
    Stack,
    Train,
)

_AVERAGE, _AS_USUAL = Average.model_construct(), Distillation.model_construct()


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

    @property
    def tier(self) -> Tier:
        return self.preset.tier

    @property
    def summary(self) -> str:
        return self.preset.summary

    @property
    def order(self) -> int:
        return self.preset.order

    @property
    def measured(self) -> tuple[Measured, ...]:
        return self.preset.measured

    @property
    def published(self) -> tuple[Published, ...]:
        return self.preset.published

    @property
    def recipe(self) -> Recipe:
        """Without a budget."""
        return Recipe.of(self.preset, self.weights)


@dataclass(frozen=True, slots=True)
class Finished:
    """A run that is there: a member or a teacher for which nothing more is done.

    `has_model`: else only its answers are there, such as those of a table of probabilities. No
    preset's file is one by itself, and no list shows it.
    """

    run: RunId
    has_model: bool = True
    summary: ClassVar[str] = ""
    order: ClassVar[int] = 0
    tier: ClassVar[Tier] = "ensemble"
    measured: ClassVar[tuple[Measured, ...]] = ()
    published: ClassVar[tuple[Published, ...]] = ()

    @property
    def name(self) -> str:
        return self.run

    @property
    def is_to_be_asked(self) -> bool:
        """Whether it has said nothing of any row yet: a model that no run of ours made."""
        return self.has_model and self.run.startswith(GIVEN)


@dataclass(frozen=True, slots=True)
class Ensemble:
    """Members and how they become one; `folds`: each is also trained without each part by turns,
    so that a combiner learns from what they say of rows that they have not seen. `data`: which rows
    validate, where no member is trained; None: as usual."""

    name: str
    members: tuple[AnyPreset, ...]
    how: Combiner = _AVERAGE
    folds: int | None = None
    limits: DiversityLimits = DiversityLimits.model_construct()  # noqa: RUF009
    data: Data | None = None
    summary: str = ""
    order: int = 0
    tier: Tier = "ensemble"
    measured: tuple[Measured, ...] = ()
    published: tuple[Published, ...] = ()


@dataclass(frozen=True, slots=True)
class Distilled:
    """A student that learns from a teacher, which may itself be any of these.

    `folds`: it is told of each row by a teacher that has not seen it. `unlabelled`: rows without
    labels are learned from too. `export`: where this is all that is asked for, the student is
    delivered in that form; as a teacher or member it is what it was trained to be.
    """

    name: str
    teacher: AnyPreset
    student: Single
    distillation: Distillation = _AS_USUAL
    folds: int | None = None
    unlabelled: bool = False
    export: Form | None = None
    summary: str = ""
    order: int = 0
    tier: Tier = "distilled"
    measured: tuple[Measured, ...] = ()
    published: tuple[Published, ...] = ()


AnyPreset = Single | Ensemble | Distilled | Finished


def seeds(preset: Preset, members: int, weights: str | None = None) -> Ensemble:
    """The same recipe so many times, with other seeds."""
    singles = tuple(Single(preset, weights, seed=k) for k in range(members))
    return Ensemble(f"{preset.name}-ensemble", singles)


def stacking(preset: Preset, folds: int, weights: str | None = None) -> Ensemble:
    """One recipe, and a model over what it says of rows that it has not seen."""
    return Ensemble(f"{preset.name}-stack", (Single(preset, weights),), Stack(), folds)


# ---- looking into them --------------------------------------------------------------------------


def expected(shape: AnyPreset) -> tuple[Expected, ...]:
    """Accuracies, what was measured first."""
    return (*shape.measured, *shape.published)


def cycles_of(shape: AnyPreset) -> int:
    """How many snapshots it leaves, which are members of an ensemble in its place; 0: none."""
    match shape:
        case Single():
            return shape.preset.training.cycles
        case Distilled():
            return shape.student.preset.training.cycles
        case Ensemble() | Finished():
            return 0


def mapped(shape: AnyPreset, change: Callable[[Single], Single]) -> AnyPreset:
    """The same of other models."""
    match shape:
        case Single():
            return change(shape)
        case Ensemble():
            return replace(shape, members=tuple(mapped(one, change) for one in shape.members))
        case Distilled():
            teacher, student = mapped(shape.teacher, change), change(shape.student)
            return replace(shape, teacher=teacher, student=student)
        case Finished():
            return shape


def settled(shape: AnyPreset) -> AnyPreset:
    """As it is trained: all models on the same rows, and a student by its teacher alone, which
    takes the place of a linear one."""
    data = data_of(shape)
    if isinstance(shape, Single):
        return _with(shape, data=data)
    return _taught(mapped(shape, lambda one: _alone(_with(one, data=data))))


def with_unlabelled(shape: AnyPreset) -> AnyPreset:
    """Every student in it learns from rows without labels too."""
    match shape:
        case Single():
            return shape
        case Ensemble():
            return replace(shape, members=tuple(map(with_unlabelled, shape.members)))
        case Distilled():
            return replace(shape, teacher=with_unlabelled(shape.teacher), unlabelled=True)
        case Finished():
            return shape


def singles(shape: AnyPreset) -> tuple[Single, ...]:
    """Every model that is trained, each recipe and seed once, as it is trained."""
    found = {(one.recipe, one.seed): one for one in each(settled(shape))}
    return tuple(found.values())


def single_of(shape: AnyPreset, work: Train) -> Single:
    """The model that a training of the shape's graph makes, as it is trained: its preset's `data`
    and `training` are the work's. Of several that differ by seed alone, any."""
    return _by_recipe(shape)[work.recipe.model_copy(update={"short_of_time": ShortOfTime()})]


@lru_cache(maxsize=4)
def _by_recipe(shape: AnyPreset) -> Mapping[Recipe, Single]:
    return {one.recipe: one for one in singles(shape)}


def problem(shape: AnyPreset, *, is_in_parts: bool = False) -> str:
    """Why no graph can be made of it; empty where one can. `is_in_parts`: it is already trained
    without each part by turns."""
    folds = shape.folds if isinstance(shape, Ensemble | Distilled) else None
    if folds and is_in_parts:
        return f"{shape.name} trains without each of {folds} parts, and may not be a part of that"
    match shape:
        case Single():
            return ""
        case Ensemble():
            found = (problem(one, is_in_parts=bool(folds) or is_in_parts) for one in shape.members)
            return next(filter(None, found), "")
        case Distilled():
            return problem(shape.teacher, is_in_parts=bool(folds) or is_in_parts)
        case Finished():
            return f"{shape.run} is finished, and not trained without each part" * is_in_parts


def students(shape: AnyPreset) -> Iterator[Distilled]:
    """Every student in it, a teacher's before those whom it teaches."""
    match shape:
        case Single() | Finished():
            return
        case Ensemble():
            for one in shape.members:
                yield from students(one)
        case Distilled():
            yield from students(shape.teacher)
            yield shape


def unmatched(asked: Distilled) -> str:
    """Why a student cannot be told its teacher's hidden states; empty where it can, or is not."""
    if not asked.distillation.hidden:
        return ""
    if asked.student.preset.network is not None:
        return f"{asked.student.name} is a small network, whose states are no model's"
    match asked.teacher:
        case Ensemble():
            return "an ensemble has those of each member, and none of its own"
        case Single() if not asked.teacher.preset.method.needs_weights:
            return "a linear model has none"
        case Finished(has_model=False):
            return "only its answers are there"
    return "with folds only its answers are asked" if asked.folds else ""


def identity(shape: AnyPreset) -> Hashable:
    """What decides its result, names left out: two that are equal are the same twice."""
    match shape:
        case Single():
            return (shape.recipe.model_dump_json(), shape.seed)
        case Ensemble():
            members = frozenset(identity(one) for one in shape.members)
            return ("ensemble", members, shape.how.model_dump_json(), shape.folds)
        case Distilled():
            beside = (shape.distillation.model_dump_json(), shape.folds, shape.unlabelled)
            return ("distilled", identity(shape.teacher), identity(shape.student), *beside)
        case Finished():
            return ("run", shape.run)


def each(shape: AnyPreset) -> Iterator[Single]:
    match shape:
        case Single():
            yield shape
        case Ensemble():
            for one in shape.members:
                yield from each(one)
        case Distilled():
            yield from each(shape.teacher)
            yield shape.student
        case Finished():
            return


def ensembles(shape: AnyPreset) -> Iterator[Ensemble]:
    """Every ensemble in it."""
    match shape:
        case Single() | Finished():
            return
        case Ensemble():
            yield shape
            for one in shape.members:
                yield from ensembles(one)
        case Distilled():
            yield from ensembles(shape.teacher)


def runs_in(shape: AnyPreset) -> tuple[Finished, ...]:
    """Every run in it that is finished."""
    match shape:
        case Single():
            return ()
        case Ensemble():
            return tuple(run for one in shape.members for run in runs_in(one))
        case Distilled():
            return runs_in(shape.teacher)
        case Finished():
            return (shape,)


def data_of(shape: AnyPreset) -> Data:
    """Of the first model that is trained, or the student's, or else what an ensemble says itself;
    they decide which rows validate all."""
    if isinstance(shape, Distilled):
        return shape.student.preset.data
    trained = (one.preset.data for one in each(shape))
    said = (one.data for one in ensembles(shape) if one.data is not None)
    return next(chain(trained, said), None) or Data()


def _taught(shape: AnyPreset) -> AnyPreset:
    match shape:
        case Single():
            return shape
        case Ensemble():
            return replace(shape, members=tuple(map(_taught, shape.members)))
        case Distilled():
            training = shape.student.preset.training.model_copy(update={"linear_teacher": 0.0})
            student = _with(shape.student, training=training)
            return replace(shape, teacher=_taught(shape.teacher), student=student)
        case Finished():
            return shape


def _alone(one: Single) -> Single:
    """Without a linear model beside it: several members would deliver the same one, and a student
    is to be the model that was asked for."""
    if not one.preset.method.needs_weights:
        return one
    return _with(one, training=one.preset.training.model_copy(update={"yardstick": False}))


def _with(one: Single, **changes: object) -> Single:
    return replace(one, preset=one.preset.model_copy(update=changes))
