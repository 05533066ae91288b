"""`agnews resume`: the unfinished run of a store goes on, asked for exactly as it was begun.

What was asked for lies in the run's folder, with the resolved preset; so the same code as `agnews
auto` prepares and carries out, and a change of data or preset shows as another run id.
"""

from __future__ import annotations

import shlex
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from agnews_cli.core.run.request import named
from agnews_cli.core.run.state import RunState
from agnews_cli.core.saving.checkpoint import Key
from agnews_cli.errors import CannotResume, Interrupted, NothingToResume
from agnews_cli.store.run import runs
from agnews_cli.store.transfer import pulls
from agnews_cli.store.transfer.pulls import Seen
from agnews_cli.workflows.runs import stores
from agnews_cli.workflows.runs.history import where
from agnews_cli.workflows.train import replay
from agnews_cli.workflows.train.auto import prepare
from agnews_cli.workflows.train.plans import Campaign, Plan
from agnews_cli.workflows.train.scene import Request, require_sense

RESOLVED: Mapping[str, Any] = {
    one.name: one.default
    for one in named("model", "goal", "epochs", "lr", "batch_size", "settings")
}
"""What the preset in the run's folder holds already."""


def unfinished(store: Path) -> tuple[runs.RunFolder, ...]:
    """The store's runs that are not completed, the newest first."""
    return tuple(run for run in runs.list_runs(store) if not _is_completed(run))


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A run that can be gone on with, and where it was found."""

    run: str
    created_at: str
    folder: runs.RunFolder | None
    """None where only further stores have it."""
    seen: tuple[Seen, ...] = ()

    @property
    def where(self) -> str:
        places = [str(self.folder.path.parent)] if self.folder else []
        return ", ".join([*places, *(one.remote.address for one in self.seen)])


def prepare_again(
    name: str | None, request: Request, *, data: str | None = None
) -> tuple[Plan | Campaign, tuple[Unfinished, ...]]:
    """The plan that goes on with the run `name`, or the newest unfinished one; and the others.

    `request` gives what may differ from session to session: stores, processes, times. `data`:
    where the data lie now. Looks into every store that is named or can be seen from here; a run
    that only they have gets its folder. Raises NothingToResume, RunUnknown or CannotResume.
    """
    chosen = require_sense(request)
    try:
        folder, open_runs, found_at = _looked_up(name, chosen)
    except KeyboardInterrupt:
        raise Interrupted(kept="nothing was begun", next="") from None
    wish = folder.order()
    if wish is None or not folder.has("preset.yaml"):
        raise CannotResume(
            run=folder.id,
            reason="its folder does not say what was asked for",
            next="Type the command that began it.",
        )
    of = data or wish.data
    if folder.is_of_other_rules():
        raise CannotResume(
            run=folder.id,
            reason="another version of agnews began it, and its checkpoints are of that version",
            next=f"Begin anew: agnews auto{f' --data {shlex.quote(str(of))}' if of else ''}",
        )
    asked = folder.whole if folder.has(folder.whole.name) else folder.preset
    places = (str(folder.path.parent), *chosen.remotes, *found_at)
    again = replace(
        request,
        is_begun=True,
        wish=replace(wish, data=of, preset=str(asked), **RESOLVED),
        session=replace(request.session, stores=tuple(dict.fromkeys(places))),
    )
    plan = prepare(again)
    if folder.id not in {node.place for node in plan.graph.nodes.values()}:
        raise CannotResume(
            run=folder.id,
            reason=f"the data or the preset changed, which makes it another run, {plan.run}",
            next=f"Put back what it was, or begin anew: {replay.command(again)}",
        )
    return plan, tuple(run for run in open_runs if run.run != folder.id)


def _looked_up(
    name: str | None, chosen: stores.Chosen
) -> tuple[runs.RunFolder, tuple[Unfinished, ...], tuple[str, ...]]:
    """(the run's folder, all unfinished runs, the stores that have this one)."""
    store = where(chosen.folder)
    remotes = [*stores.connect(chosen.remotes), *stores.visible(chosen.remotes)]
    with tempfile.TemporaryDirectory(prefix="agnews-look-") as work:
        seen, problems = stores.found_in(remotes, Path(work))
    open_runs = _merged(unfinished(store), seen)
    folder, found_at = _meant(name, store, open_runs, seen, problems)
    return folder, open_runs, found_at


def _merged(local: tuple[runs.RunFolder, ...], seen: tuple[Seen, ...]) -> tuple[Unfinished, ...]:
    """Each unfinished run once, the newest first; a run that any store has finished is not one."""
    by_run: dict[str, list[Seen]] = {}
    for one in seen:
        by_run.setdefault(one.run, []).append(one)
    folders = {folder.id: folder for folder in local}
    found = []
    for run in {*by_run, *folders}:
        there = tuple(by_run.get(run, ()))
        if any(one.state == RunState.COMPLETED for one in there):
            continue
        moment = folders[run].created_at() if run in folders else None
        created = moment.isoformat() if moment else max(one.created_at for one in there)
        found.append(Unfinished(run, created, folders.get(run), there))
    now = datetime.now(UTC)
    by_age = sorted(found, key=lambda u: (stores.age_of(u.created_at, now), u.run), reverse=True)
    return tuple(by_age)


def _meant(
    name: str | None,
    store: Path,
    open_runs: tuple[Unfinished, ...],
    seen: tuple[Seen, ...],
    problems: tuple[str, ...],
) -> tuple[runs.RunFolder, tuple[str, ...]]:
    """The run's folder, made from a store's record where it is not there; and who has the run."""
    if name is None:
        if not open_runs:
            places = ", ".join(dict.fromkeys([str(store), *(s.remote.address for s in seen)]))
            raise NothingToResume(store=". ".join([places, *(p.rstrip(".") for p in problems)]))
        chosen = open_runs[0].run
    else:
        ids = sorted({one.run for one in seen})
        begun = [run for run in ids if name and run.startswith(name)]
        local = {folder.id for folder in runs.list_runs(store)}
        if name not in local and len(begun) == 1 and not any(r.startswith(name) for r in local):
            chosen = begun[0]
        else:
            chosen = runs.find(store, name).id if name not in ids else name
            if chosen not in local and chosen not in ids:
                return runs.find(store, name), ()
    having = sorted(
        (one for one in seen if one.run == chosen),
        key=lambda one: (one.newest is not None, one.newest or Key(0, 0, "", "")),
        reverse=True,
    )
    folder = runs.RunFolder(store.absolute() / chosen)
    if having and (folder.created_at() is None or not folder.has("preset.yaml")):
        folder = pulls.unpack_record(having[0], store)
    return folder, tuple(dict.fromkeys(one.remote.address for one in having))


def _is_completed(run: runs.RunFolder) -> bool:
    outcome = run.ended()
    return outcome is not None and outcome.state == RunState.COMPLETED
