"""How plans and results look on the screen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agnews_cli.cli import screens
from agnews_cli.cli.output import Output
from agnews_cli.core import duration

if TYPE_CHECKING:
    from agnews_cli.workflows.afterwards import Use
    from agnews_cli.workflows.auto import Plan, Result
    from agnews_cli.workflows.status import Status
    from agnews_cli.workflows.submission import Submission


def plan(out: Output, plan: Plan, *, is_result: bool) -> None:
    """Platform, budget, preset, data, and every reason."""
    request, data = plan.request, plan.dataset
    train = f"{data.train.rows:,} rows"
    if plan.limit_train and plan.limit_train < data.train.rows:
        train = f"{plan.limit_train:,} of {train}"
    test = f"{data.test.rows:,} for testing" if data.test else "no test split"
    if data.unlabelled:
        test += f", {data.unlabelled.rows:,} to predict"
    budget = duration.show(request.budget_s) if request.budget_s else "none"
    rows: list[tuple[str, object]] = [
        ("run", plan.run),
        ("data", f"{data.name}: {train}, {len(data.labels):,} classes, {test}"),
        ("classes", screens.counts(data.labels, data.train.class_rows)),
        ("preset", f"{plan.preset.name} ({plan.preset.tier}, {plan.preset.method.kind})"),
        ("budget", budget),
        ("folder", plan.store / plan.run),
        *(("sent to", remote.address) for remote in plan.remotes),
    ]
    out.screen(
        screens.key_values(rows), *(f"  - {reason}" for reason in plan.reasons), is_result=is_result
    )
    for warning in data.warnings:
        out.warn(warning)
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
    """All figures, and last, where they stay in view: accuracy, where it is, how to use it."""
    from agnews_cli.workflows import afterwards

    if result.was_there:
        out.say("This run was finished before; here is its result (--fresh trains it again).")
    found, use = result.evaluation, result.use
    done = f"Done in {duration.show(result.wall_s)}. Everything is in {result.folder.path}"
    out.screen(
        *screens.evaluation_screen(found, sections=("classes", "confusion", "mistakes")),
        "",
        screens.candidates_table(result.outcome.candidates, rows=found.validation.rows),
        "",
        *screens.remarks("Mind", afterwards.warnings(result)),
        *screens.remarks("What would make it better", afterwards.better(result)),
        *screens.evaluation_screen(found, sections=("figures",)),
        "",
        *filter(None, (screens.one_line(result.outcome.why),)),
        screens.Verbatim(done),
        *(screens.Verbatim(line) for line in (use.text, use.file)),
        *_in_python(use),
        *_submitting(result.submission),
    )
    out.result(result.as_json())


def _submitting(found: Submission | None) -> tuple[screens.Verbatim, ...]:
    if found is None:
        return ()
    lines = (f"{found.rows:,} test rows are labelled in {found.path}", *found.notes, found.command)
    return tuple(map(screens.Verbatim, lines))


def _in_python(use: Use) -> tuple[screens.Verbatim, ...]:
    lines = (
        (f"Without agnews, in Python: the lines in {use.card}",)
        if use.python is None
        else ("Without agnews, in Python:", *use.python.splitlines())
    )
    return tuple(map(screens.Verbatim, lines))
