"""`agnews ensemble`: models that are there become one, and nothing is trained.

The data are those of the first run; each of the others must have spoken of the same rows, and what
no run of ours made is asked about them.
"""

from __future__ import annotations

import re
import shlex
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import ValidationError

from agnews_cli.core.graph.asked import Ensemble, Finished, data_of, each, runs_in
from agnews_cli.core.run.combiner import Auto, Combiner
from agnews_cli.core.run.comparison import AnswersOf, ToCompare
from agnews_cli.core.run.dataset import Dataset
from agnews_cli.core.run.diversity import DiversityLimits
from agnews_cli.core.run.job import Event
from agnews_cli.core.run.preset import Data
from agnews_cli.core.run.request import Wish
from agnews_cli.core.run.taken import Answers, TakenPart
from agnews_cli.errors import (
    CannotResume,
    MemberLabelsDiffer,
    NotAMember,
    RunElsewhere,
    RunNeeded,
    RunTwice,
    RunUnknown,
    TooFewRuns,
    ValueWrong,
)
from agnews_cli.host import figures
from agnews_cli.store.disk.names import local
from agnews_cli.store.model import delivered
from agnews_cli.store.run.runs import RunFolder
from agnews_cli.store.settings import preset_shapes
from agnews_cli.workflows.runs.compare import On, finished, require_different, said_of
from agnews_cli.workflows.runs.history import where, word_for
from agnews_cli.workflows.train import auto, campaign, given
from agnews_cli.workflows.train.plans import Campaign
from agnews_cli.workflows.train.resume import RESOLVED
from agnews_cli.workflows.train.scene import Request, Scene, require_sense

NAME = "ensemble"
_SPLITS: Mapping[TakenPart, On] = {"validation": "validation", "test": "test"}


@dataclass(frozen=True, slots=True)
class EnsembleRequest:
    """`runs`: as `runs.find` takes them, all of one store, or folders of classifiers. `validation`,
    `test`: files of what further members say of these rows, one of each a member."""

    runs: Sequence[str]
    validation: Sequence[str] = ()
    test: Sequence[str] = ()
    how: Combiner = Auto()  # noqa: RUF009
    name: str = NAME
    limits: DiversityLimits = DiversityLimits()  # noqa: RUF009


def limits(**asked: float | None) -> DiversityLimits:
    """From what was typed. Raises ValueWrong."""
    try:
        return DiversityLimits.model_validate(asked)
    except ValidationError as error:
        first = error.errors()[0]
        expected = first["msg"].removeprefix("Input should be ")
        option = f"--max-{first['loc'][0]} "
        raise ValueWrong(name=option, given=str(first["input"]), expected=expected) from None


def prepare(
    asked: EnsembleRequest, request: Request, *, show: Callable[[Event], None] | None = None
) -> Campaign:
    """What will be combined, and why; `request` gives what is for this session alone.

    Raises ValueWrong, RunUnknown, NotAMember, RunNeeded, RunUnfinished, RunTwice, RunElsewhere,
    NothingSaidOf, MemberLabelsDiffer, CannotResume where the first run does not say what its data
    are, what is wrong with what the runs or files say, and what taking in a folder raises.
    """
    require_name(asked.name)
    chosen = require_sense(request)
    store = where(chosen.folder).absolute()
    named = [_named(store, name) for name in asked.runs]
    found = [one for one in named if isinstance(one, RunFolder)]
    folders = [one for one in named if isinstance(one, Path)]
    require_different(found)
    if folders and not found:
        raise RunNeeded(path=folders[0])
    if len(named) + len(asked.validation) < 2:
        raise TooFewRuns(run=word_for(found[0]) if found else "RUN")
    for one in found:
        if one.path.parent != store:
            raise RunElsewhere(run=one.id, folder=one.path.parent, store=store)
    members = tuple(Finished(one.id) for one in found)
    asked_rows = data_of_run(found[0]) if folders else None

    def joined(members: tuple[Finished, ...]) -> Ensemble:
        return Ensemble(asked.name, members, asked.how, limits=asked.limits, data=asked_rows)

    wish = replace(wish_of(found[0]), justify=request.wish.justify)
    wanted = replace(request, wish=wish)
    plan = auto.prepare(wanted, show=show, of=joined(members))
    assert isinstance(plan, Campaign)
    more: tuple[Finished, ...] = tuple(_classifiers(folders, store, plan.scene))
    if asked.validation:
        # Where nothing is to be written they are taken in elsewhere, to be looked at.
        with tempfile.TemporaryDirectory(prefix="agnews-given-") as work:
            place = Path(work) if request.is_rehearsal else store
            tables = tuple(_given(asked, place, found[0], plan.scene.dataset))
            every = [*found, *(RunFolder(place / one.run) for one in tables)]
            _require_same(every, plan.scene.dataset, with_test=bool(asked.test))
        more = (*more, *tables)
    else:
        _require_same(found, plan.scene.dataset)
    if not more:
        return plan
    names = [one.run for one in more]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise RunTwice(run=twice)
    shape = joined((*members, *more))
    return campaign.prepare(plan.scene, shape, plan.reasons[len(plan.scene.reasons) :])


def _require_same(found: Sequence[RunFolder], data: Dataset, *, with_test: bool = True) -> None:
    require_same_rows(found, "validation")
    if data.test is not None and with_test:
        require_same_rows(found, "test")


def _classifiers(folders: Sequence[Path], store: Path, scene: Scene) -> Iterator[Finished]:
    """Members that no run made. Raises MemberLabelsDiffer, and what `given.model` does."""
    for path in folders:
        theirs, data = delivered.of_folder(path.absolute()), scene.dataset
        if delivered.columns(theirs, data.labels, data.label_values) is None:
            found, expected = (", ".join(names[:8]) for names in (theirs.labels, data.labels))
            raise MemberLabelsDiffer(member=path, found=found, expected=expected)
        yield given.model(store, path, is_rehearsal=scene.request.is_rehearsal)


def _given(
    asked: EnsembleRequest, store: Path, like: RunFolder, data: Dataset
) -> Iterator[Finished]:
    """Members of which only files are there; of those files the rows that `like` speaks of."""
    if asked.test and len(asked.test) != len(asked.validation):
        expected = f"one for each of the {len(asked.validation)} --validation, or none"
        raise ValueWrong(name="--test ", given=f"{len(asked.test)} times", expected=expected)
    for number, path in enumerate(asked.validation):
        of: dict[TakenPart, str] = {"validation": path}
        if asked.test:
            of["test"] = asked.test[number]
        tables = {
            part: Answers(path=name, only=str(_file(like, _SPLITS[part])))
            for part, name in of.items()
        }
        yield given.answers(store, tables, data)


def _named(store: Path, name: str) -> RunFolder | Path:
    """A run, or the folder of a model that none made."""
    try:
        return finished(store, name)
    except RunUnknown:
        if name and local(name).is_dir():
            return local(name)
        if name and local(name).exists():
            raise NotAMember(path=name) from None
        raise


def data_of_run(run: RunFolder) -> Data:
    """Which rows validated a run; of runs that were joined, the first one's."""
    shape = preset_shapes.load(str(run.preset))
    inside = [RunFolder(run.path.parent / one.run) for one in runs_in(shape) if one.has_model]
    known = (one for one in inside if one.has("preset.yaml"))
    first = None if any(each(shape)) else next(known, None)
    return data_of(shape) if first is None else data_of_run(first)


def require_name(name: str) -> None:
    """Raises ValueWrong for what cannot name a run."""
    if re.fullmatch(r"[a-z0-9][a-z0-9.-]*", name) is None:
        expected = "lower case letters, digits, dots and dashes, such as my-ensemble"
        raise ValueWrong(name="--name ", given=repr(name), expected=expected)


def wish_of(folder: RunFolder) -> Wish:
    """What was asked of a run, without what is its model's. Raises CannotResume."""
    wish = folder.order()
    if wish is None:
        raise CannotResume(
            run=folder.id,
            reason="its folder does not say what its data are",
            next="Name a run first that `agnews auto` of today made.",
        )
    return replace(wish, preset=None, budget_s=None, unlabelled=None, **RESOLVED)


def require_same_rows(found: Sequence[RunFolder], split: On) -> None:
    """Raises NothingSaidOf, and what is wrong with what they say (ReportedError)."""
    told = tuple(AnswersOf(name=one.id, files=(str(_file(one, split)),)) for one in found)
    figures.compare(ToCompare(models=told, is_check=True))


def _file(folder: RunFolder, split: On) -> Path:
    data = (folder.order() or Wish()).data
    of = f" --data {shlex.quote(data)}" if data else ""
    hint = f"Leave it out, or train it on data that have such rows: agnews auto{of}"
    return said_of(folder, split, hint=hint)
