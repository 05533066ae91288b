"""`agnews ensemble`: runs that are finished become one model, and nothing is trained.

The data are those of the first run; each of the others must have spoken of the same rows.
"""

from __future__ import annotations

import re
import shlex
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from agnews_cli.core.graph.asked import Ensemble, Finished
from agnews_cli.core.run.combiner import Auto, Combiner
from agnews_cli.core.run.comparison import AnswersOf, ToCompare
from agnews_cli.core.run.dataset import Dataset
from agnews_cli.core.run.job import Event
from agnews_cli.core.run.request import Wish
from agnews_cli.core.run.taken import Answers, TakenPart
from agnews_cli.errors import (
    CannotResume,
    NotAsked,
    RunElsewhere,
    RunUnknown,
    TooFewRuns,
    ValueWrong,
)
from agnews_cli.host import figures
from agnews_cli.store.disk.names import local
from agnews_cli.store.run.runs import RunFolder
from agnews_cli.workflows.runs.compare import On, finished, require_different, said_of
from agnews_cli.workflows.runs.history import where, word_for
from agnews_cli.workflows.train import auto, campaign, given
from agnews_cli.workflows.train.plans import Campaign
from agnews_cli.workflows.train.resume import RESOLVED
from agnews_cli.workflows.train.scene import Request, require_sense

NAME = "ensemble"
_SPLITS: Mapping[TakenPart, On] = {"validation": "validation", "test": "test"}


@dataclass(frozen=True, slots=True)
class EnsembleRequest:
    """`runs`: as `runs.find` takes them, all of one store. `validation`, `test`: files of what
    further members say of these rows, one of each a member."""

    runs: Sequence[str]
    validation: Sequence[str] = ()
    test: Sequence[str] = ()
    how: Combiner = Auto()  # noqa: RUF009
    name: str = NAME


def prepare(
    asked: EnsembleRequest, request: Request, *, show: Callable[[Event], None] | None = None
) -> Campaign:
    """What will be combined, and why; `request` gives what is for this session alone.

    Raises ValueWrong, RunUnknown, NotAsked, RunUnfinished, RunTwice, RunElsewhere, NothingSaidOf,
    CannotResume where the first run does not say what its data are, and what is wrong with what
    the runs or files say.
    """
    require_name(asked.name)
    chosen = require_sense(request)
    store = where(chosen.folder).absolute()
    found = [_run(store, name) for name in asked.runs]
    require_different(found)
    if len(found) + len(asked.validation) < 2:
        raise TooFewRuns(run=word_for(found[0]) if found else "RUN")
    for one in found:
        if one.path.parent != store:
            raise RunElsewhere(run=one.id, folder=one.path.parent, store=store)
    members = tuple(Finished(one.id) for one in found)
    wanted = replace(request, wish=wish_of(found[0]))
    plan = auto.prepare(wanted, show=show, of=Ensemble(asked.name, members, asked.how))
    assert isinstance(plan, Campaign)
    if asked.validation:
        # Where nothing is to be written they are taken in elsewhere, to be looked at.
        with tempfile.TemporaryDirectory(prefix="agnews-given-") as work:
            place = Path(work) if request.is_rehearsal else store
            more = tuple(_given(asked, place, found[0], plan.scene.dataset))
            every = [*found, *(RunFolder(place / one.run) for one in more)]
            _require_same(every, plan.scene.dataset, with_test=bool(asked.test))
        shape = Ensemble(asked.name, (*members, *more), asked.how)
        return campaign.prepare(plan.scene, shape, plan.reasons[len(plan.scene.reasons) :])
    _require_same(found, plan.scene.dataset)
    return plan


def _require_same(found: Sequence[RunFolder], data: Dataset, *, with_test: bool = True) -> None:
    require_same_rows(found, "validation")
    if data.test is not None and with_test:
        require_same_rows(found, "test")


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


def _run(store: Path, name: str) -> RunFolder:
    try:
        return finished(store, name)
    except RunUnknown:
        if name and local(name).exists():
            raise NotAsked(path=name) from None
        raise


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
