"""`agnews ensemble`: runs that are finished become one model, and nothing is trained.

The data are those of the first run; each of the others must have spoken of the same rows.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from agnews_cli.core.graph.asked import Ensemble, Finished
from agnews_cli.core.run.combiner import Auto, Combiner
from agnews_cli.core.run.comparison import AnswersOf, ToCompare
from agnews_cli.core.run.job import Event
from agnews_cli.core.run.request import Wish
from agnews_cli.errors import CannotResume, RunElsewhere, TooFewRuns, ValueWrong
from agnews_cli.host import figures
from agnews_cli.store.run.runs import RunFolder
from agnews_cli.workflows.runs.compare import On, finished, require_different, said_of
from agnews_cli.workflows.runs.history import where
from agnews_cli.workflows.train import auto
from agnews_cli.workflows.train.plans import Campaign
from agnews_cli.workflows.train.resume import RESOLVED
from agnews_cli.workflows.train.scene import Request, require_sense

NAME = "ensemble"


@dataclass(frozen=True, slots=True)
class EnsembleRequest:
    """`runs`: as `runs.find` takes them, all of one store."""

    runs: Sequence[str]
    how: Combiner = Auto()  # noqa: RUF009
    name: str = NAME


def prepare(
    asked: EnsembleRequest, request: Request, *, show: Callable[[Event], None] | None = None
) -> Campaign:
    """What will be combined, and why; `request` gives what is for this session alone.

    Raises ValueWrong, RunUnknown, RunUnfinished, RunTwice, RunElsewhere, NothingSaidOf, CannotResume where the
    first run does not say what its data are, and what is wrong with what the runs say.
    """
    require_name(asked.name)
    chosen = require_sense(request)
    store = where(chosen.folder).absolute()
    found = [finished(store, name) for name in asked.runs]
    require_different(found)
    if len(found) < 2:
        raise TooFewRuns(run=found[0].id if found else "RUN")
    for one in found:
        if one.path.parent != store:
            raise RunElsewhere(run=one.id, folder=one.path.parent, store=store)
    shape = Ensemble(asked.name, tuple(Finished(one.id) for one in found), asked.how)
    plan = auto.prepare(replace(request, wish=wish_of(found[0])), show=show, of=shape)
    assert isinstance(plan, Campaign)
    require_same_rows(found, "validation")
    if plan.dataset.test is not None:
        require_same_rows(found, "test")
    return plan


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
