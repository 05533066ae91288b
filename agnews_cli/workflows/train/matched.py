"""Whether a student can be told its teacher's hidden states: asked before anything is trained."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from agnews_cli.core.graph.asked import AnyPreset, Distilled, Ensemble, Finished, Single, students
from agnews_cli.errors import AgnewsError, TeacherOfOtherWidth
from agnews_cli.store.model import delivered
from agnews_cli.store.model.model_facts import width
from agnews_cli.store.model.models import Resolved


def require(shape: AnyPreset, store: Path, located: Mapping[str, Resolved]) -> None:
    """`located`: where models lie, by id. Raises TeacherOfOtherWidth where both widths are known;
    what is not known now, the worker says before it trains the student."""
    for one in students(shape):
        if not one.distillation.hidden:
            continue
        theirs, own = (_width(of, store, located) for of in (one.teacher, one.student))
        if theirs is not None and own is not None and theirs != own:
            raise TeacherOfOtherWidth(
                teacher=one.teacher.name, theirs=theirs, student=one.student.name, own=own
            )


def _width(shape: AnyPreset, store: Path, located: Mapping[str, Resolved]) -> int | None:
    match shape:
        case Single():
            return width(located[shape.preset.model.id])
        case Distilled():
            return _width(shape.student, store, located)
        case Finished():
            with suppress(AgnewsError):
                (member,) = delivered.at(store / shape.run).members or (None,)
                if member is not None:
                    return width(Resolved(member.folder, "folder", ""))
            return None
        case Ensemble():
            return None
