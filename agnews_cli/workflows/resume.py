"""`agnews resume`: the unfinished run of a store goes on, asked for exactly as it was begun.

What was asked for lies in the run's folder, with the resolved preset; so the same code as `agnews
auto` prepares and carries out, and a change of data or preset shows as another run id.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from agnews_cli.errors import CannotResume, NothingToResume
from agnews_cli.store import runs
from agnews_cli.workflows.auto import Plan, Request, prepare
from agnews_cli.workflows.history import where


def unfinished(store: Path) -> tuple[runs.RunFolder, ...]:
    """The store's runs that are not completed, the newest first."""
    return tuple(run for run in runs.list_runs(store) if not _is_completed(run))


def prepare_again(
    name: str | None, request: Request, *, data: str | None = None
) -> tuple[Plan, tuple[runs.RunFolder, ...]]:
    """The plan that goes on with the run `name`, or the newest unfinished one; and the others.

    `request` gives what may differ from session to session: store, processes, times. `data`: where
    the data lie now. Raises NothingToResume, RunUnknown or CannotResume.
    """
    store = where(request.store)
    open_runs = unfinished(store)
    if name is not None:
        folder = runs.find(store, name)
    elif open_runs:
        folder = open_runs[0]
    else:
        raise NothingToResume(store=store)
    order = folder.order()
    if not order or not folder.preset.exists():
        raise CannotResume(
            run=folder.id,
            reason="its folder does not say what was asked for",
            next="Type the command that began it.",
        )
    again = replace(
        request,
        data=data or order["data"],
        text_columns=tuple(order["text_columns"]),
        label_column=order["label_column"],
        limit_train=order["limit_train"],
        budget_s=order["budget_s"],
        seed=order["seed"],
        preset=str(folder.preset),
        store=folder.path.parent,
    )
    plan = prepare(again)
    if plan.run != folder.id:
        raise CannotResume(
            run=folder.id,
            reason=f"the data or the preset changed, which makes it another run, {plan.run}",
            next=f"Put back what it was, or begin anew: agnews auto --data {again.data}",
        )
    return plan, tuple(run for run in open_runs if run.id != folder.id)


def _is_completed(run: runs.RunFolder) -> bool:
    outcome = run.ended()
    return outcome is not None and outcome.state == "completed"
