"""How plans and results look on the screen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agnews_cli.cli import screens
from agnews_cli.cli.output import Output
from agnews_cli.core import duration

if TYPE_CHECKING:
    from agnews_cli.workflows.auto import Plan, Result
    from agnews_cli.workflows.status import Status


def plan(out: Output, plan: Plan, *, is_result: bool) -> None:
    """Platform, budget, preset, data, and every reason."""
    request, data = plan.request, plan.dataset
    train = f"{data.train.rows:,} rows"
    if request.limit_train and request.limit_train < data.train.rows:
        train = f"{request.limit_train:,} of {train}"
    test = f"{data.test.rows:,} for testing" if data.test else "no test split"
    budget = duration.show(request.budget_s) if request.budget_s else "none"
    rows: list[tuple[str, object]] = [
        ("run", plan.run),
        ("data", f"{data.name}: {train}, {len(data.labels)} classes, {test}"),
        ("preset", f"{plan.preset.name} ({plan.preset.tier}, {plan.preset.method.kind})"),
        ("budget", budget),
        ("folder", plan.store / plan.run),
        *(("sent to", remote.address) for remote in plan.remotes),
    ]
    out.screen(
        screens.key_values(rows), *(f"  - {reason}" for reason in plan.reasons), is_result=is_result
    )
    if is_result:
        passed = [(p.name, p.reason) for p in plan.passed_over]
        if passed:
            out.table(("passed over", "why"), passed)
        out.screen("Nothing was touched. Without --dry-run this plan is carried out.")


def status(out: Output, found: Status) -> None:
    """How a run stands, and each store with what it has."""
    of = f" of {found.total_steps}" if found.total_steps else ""
    rows: list[tuple[str, object]] = [
        ("run", found.run),
        ("state", found.state),
        ("step", "none yet" if found.step is None else f"{found.step}{of}"),
        ("sessions", f"{found.sessions}, {found.hours:.2f} hours"),
        ("folder", found.folder),
    ]
    out.screen(screens.key_values(rows))
    lines = [
        (s.store, s.newest or "nothing", s.proof or "", s.pushed_at or "") for s in found.stores
    ]
    out.table(("store", "has", "proof", "when"), lines)
    for store in found.stores:
        if store.problem:
            out.warn(f"{store.store}: {store.problem}")
        for branch in store.branches:
            out.say(f"A second session wrote {branch} in {store.store}; it is kept, and not used.")


def result(out: Output, result: Result) -> None:
    """The one screen with the figures, and what to do next."""
    from agnews_cli.workflows.auto import next_command

    if result.was_there:
        out.say("This run was finished before; here is its result (--fresh trains it again).")
    out.screen(
        screens.candidates_table(result.outcome.candidates),
        *screens.evaluation_screen(result.evaluation),
        "",
        f"Done in {duration.show(result.wall_s)}. Everything is in {result.folder.path}",
        f"Next: {next_command(result)}",
    )
    out.result(result.as_json())
