"""`agnews repro`: a finished run is made again from its record, and both are compared.

What was asked for lies in the run's folder, with the resolved preset and the hash of the data; its
id is the hash of all that decides the result. So the same code as `agnews auto` makes it again, in
a store of its own, and whatever would make another model shows before anything is trained.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from agnews_cli.core.run.job import Event
from agnews_cli.core.run.likeness import Likeness, ToLiken
from agnews_cli.core.run.request import Wish
from agnews_cli.core.text import strict_json
from agnews_cli.errors import CannotRepeat
from agnews_cli.host import figures
from agnews_cli.store.disk import files
from agnews_cli.store.run import runs
from agnews_cli.store.run.runs import RunFolder
from agnews_cli.workflows.runs.compare import finished
from agnews_cli.workflows.runs.history import where, word_for
from agnews_cli.workflows.train.auto import carry_out, prepare
from agnews_cli.workflows.train.plans import Campaign, Plan
from agnews_cli.workflows.train.resume import RESOLVED
from agnews_cli.workflows.train.scene import Request

SCHEMA = "agnews.repro/1"
_MOST_BYTES = 1_000_000


@dataclass(frozen=True, slots=True)
class Repeat:
    """A run that can be made again, and how."""

    folder: RunFolder
    plan: Plan | Campaign
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MadeAgain:
    """`changed`: what of machine and libraries is another than it was."""

    run: str
    folder: Path
    likeness: Likeness
    changed: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """Schema `agnews.repro/1` (docs/json.md)."""
        return {
            "schema": SCHEMA,
            "run": self.run,
            "folder": str(self.folder),
            "changed": list(self.changed),
            **self.likeness.as_json(),
        }


def planned(name: str, store: Path | None, into: Path, request: Request) -> Repeat:
    """`into`: the store where it is made again; what is finished there is only compared.

    Raises RunUnknown, RunUnfinished or CannotRepeat, and what preparing raises.
    """
    folder = finished(where(store), name)
    wish = folder.order()
    if wish is None or not folder.has(folder.preset.name):
        raise _refusal(folder, "its folder does not say what was asked for")
    if folder.is_of_other_rules():
        raise _refusal(folder, "another version of agnews made it, by other rules")
    if folder.has(folder.whole.name) and not folder.has(folder.graph.name):
        raise _refusal(folder, "it is a part of several, which are made again together")
    if into.absolute() == folder.path.parent.absolute():
        raise _refusal(
            folder, "it lies in the store where it would be made again", "Name another: --into DIR"
        )
    session = replace(request.session, stores=(str(into),))
    again = replace(wish, preset=str(folder.preset), **RESOLVED)
    plan = prepare(replace(request, wish=again, session=session))
    if plan.run != folder.id:
        reason = (
            f"the data, the weights or the preset changed, which makes it another run, {plan.run}"
        )
        raise _refusal(folder, reason, "Put back what it was made of.")
    return Repeat(folder, plan, _warnings(wish))


def made_again(repeat: Repeat, *, show: Callable[[Event], None]) -> MadeAgain:
    """Train as planned, and compare. Raises what carrying out raises."""
    found = carry_out(repeat.plan, show=show)
    other = RunFolder(found.folder.path)
    asked = ToLiken(one=str(repeat.folder.path), two=str(other.path))
    return MadeAgain(
        run=repeat.folder.id,
        folder=other.path,
        likeness=figures.liken(asked),
        changed=_changed(repeat.folder, other),
    )


def _refusal(folder: RunFolder, reason: str, next: str = "") -> CannotRepeat:
    hint = next or f"What is known of it: agnews report {word_for(folder)}"
    return CannotRepeat(run=folder.id, reason=reason, next=hint)


def _warnings(wish: Wish) -> tuple[str, ...]:
    if wish.budget_s is None:
        return ()
    return ("It was made under a budget: what fits depends on how fast the machine is, and was",)


def _changed(one: RunFolder, two: RunFolder) -> tuple[str, ...]:
    """Of `environment.json`, what is another."""
    ours, theirs = _environment(one), _environment(two)
    names = sorted({*ours, *theirs})
    return tuple(
        f"{name}: {ours.get(name, '–')} then, {theirs.get(name, '–')} now"
        for name in names
        if ours.get(name) != theirs.get(name)
    )


def _environment(folder: runs.RunFolder) -> dict[str, Any]:
    try:
        return strict_json.mapping(files.read_plain(folder.environment, _MOST_BYTES))
    except (OSError, ValueError):
        return {}
