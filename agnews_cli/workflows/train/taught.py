"""`agnews distill`: a student learns from a teacher that is there.

The teacher is a finished run, a classifier's folder, or a file of what it says of the rows that
train. A run's data, and which rows of them validate, are the student's where nothing else is said:
so it learns from no row that is to judge it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import ValidationError

from agnews_cli.core.graph.asked import Distilled, Finished, Single
from agnews_cli.core.run.job import Event
from agnews_cli.core.run.method import WordCounts
from agnews_cli.core.run.request import DATA, Wish, of_group
from agnews_cli.core.run.taken import Answers, TakenPart
from agnews_cli.core.run.work import Distillation
from agnews_cli.errors import RunElsewhere, RunUnknown, TeacherUnknown, UsageError, ValueWrong
from agnews_cli.store.disk.names import local
from agnews_cli.store.run.runs import RunFolder
from agnews_cli.store.settings import preset_shapes
from agnews_cli.workflows.runs.compare import finished
from agnews_cli.workflows.runs.history import where
from agnews_cli.workflows.train import auto, given
from agnews_cli.workflows.train.finished import data_of_run, require_name, wish_of
from agnews_cli.workflows.train.plans import Campaign
from agnews_cli.workflows.train.scene import Request, asked_once, look, require_sense


@dataclass(frozen=True, slots=True)
class DistillRequest:
    """`teacher`: a run as `runs.find` takes it, a folder or a file. `student`: a preset of one
    model. `name`: of the new run; None: the student's and `-distilled`."""

    teacher: str
    student: str
    alpha: float | None = None
    temperature: float | None = None
    name: str | None = None


def prepare(
    asked: DistillRequest, request: Request, *, show: Callable[[Event], None] | None = None
) -> Campaign:
    """What will be done, and why.

    Raises ValueWrong, TeacherUnknown, RunUnfinished, RunElsewhere, PresetUnknown, UsageError for a
    student that is no single model, and what taking in a folder or file raises.
    """
    how, student = _how(asked), _student(asked.student)
    name = asked.name or f"{student.name}-distilled"
    require_name(name)
    chosen = require_sense(request)
    store = where(chosen.folder).absolute()
    run = _run(store, asked.teacher)
    if run is not None:
        student, request = _like(run, student), replace(request, wish=_wish(run, request.wish))
        teacher = Finished(run.id)
    else:
        teacher = _taken(asked.teacher, store, request, show)
    shape = Distilled(name, teacher, student, how)
    plan = auto.prepare(request, show=show, of=shape)
    assert isinstance(plan, Campaign)
    return plan


def _how(asked: DistillRequest) -> Distillation:
    given = {"alpha": asked.alpha, "temperature": asked.temperature}
    try:
        return Distillation.model_validate({k: v for k, v in given.items() if v is not None})
    except ValidationError as error:
        first = error.errors()[0]
        expected = first["msg"].removeprefix("Input should be ")
        option = f"--{first['loc'][0]} "
        raise ValueWrong(name=option, given=str(first["input"]), expected=expected) from None


def _student(name: str) -> Single:
    found = preset_shapes.load(name)
    if not isinstance(found, Single):
        raise UsageError(
            message=f"--student {name} is several models, and a student is one.",
            hint="Name a preset of one model: agnews presets ls",
        )
    if isinstance(found.preset.method, WordCounts):
        raise UsageError(
            message=f"--student {name} is a linear model, which learns from labels alone.",
            hint="Name a model with weights, such as --student minilm: agnews presets ls",
        )
    return found


def _run(store: Path, teacher: str) -> RunFolder | None:
    """The run that is meant; None where it is a folder or a file."""
    try:
        found = finished(store, teacher)
    except RunUnknown as error:
        if local(teacher).exists():
            return None
        near, hint = error.facts["near"], error.facts["hint"]
        raise TeacherUnknown(name=teacher, store=store, near=near, hint=hint) from None
    if found.path.parent != store:
        raise RunElsewhere(run=found.id, folder=found.path.parent, store=store)
    return found


def _like(run: RunFolder, student: Single) -> Single:
    """With the same rows validating."""
    preset = student.preset.model_copy(update={"data": data_of_run(run)})
    return replace(student, preset=preset)


def _wish(run: RunFolder, wish: Wish) -> Wish:
    """With the teacher's data, where no others are named."""
    if wish.data is not None:
        return wish
    theirs = wish_of(run)
    names = [one.name for one in of_group(DATA) if one.name != "unlabelled"]
    return replace(wish, **{name: getattr(theirs, name) for name in names})


def _taken(
    teacher: str, store: Path, request: Request, show: Callable[[Event], None] | None
) -> Finished:
    path = local(teacher).absolute()
    if path.is_dir():
        return given.model(store, path, is_rehearsal=request.is_rehearsal)
    scene = look(request, require_sense(request), asked_once(), show)
    tables: dict[TakenPart, Answers] = {"train": Answers(path=str(path))}
    return given.answers(store, tables, scene.dataset, is_rehearsal=request.is_rehearsal)
