"""How plans and results look on the screen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agnews_cli.cli import screens, stopping
from agnews_cli.cli.output import Output
from agnews_cli.core.text import duration

if TYPE_CHECKING:
    from agnews_cli.store.run.runs import RunFolder
    from agnews_cli.workflows.runs.status import Status
    from agnews_cli.workflows.train.afterwards import Use
    from agnews_cli.workflows.train.plans import Campaign, Plan
    from agnews_cli.workflows.train.result import Result
    from agnews_cli.workflows.train.summary import Summary


def carried_out(out: Output, decided: Plan | Campaign, *, is_rehearsal: bool) -> None:
    """The plan; and, unless it is all that was asked for, what came of it."""
    from agnews_cli.workflows.train.auto import carry_out

    plan(out, decided, is_result=is_rehearsal)
    if is_rehearsal:
        out.result(decided.as_json("planned"))
        return
    stopping.kept = "what was under way is not finished"
    with out.progress(beside=True) as progress:
        found = carry_out(decided, show=progress.event)
    stopping.kept = "the run is finished and kept"
    result(out, found)


def plan(out: Output, plan: Plan | Campaign, *, is_result: bool) -> None:
    """Platform, budget, preset, data, and every reason."""
    wish, data = plan.scene.request.wish, plan.scene.dataset
    train = f"{data.train.rows:,} rows"
    if plan.scene.limit_train and plan.scene.limit_train < data.train.rows:
        train = f"{plan.scene.limit_train:,} of {train}"
    test = f"{data.test.rows:,} for testing" if data.test else "no test split"
    if data.is_test_drawn:
        test += " held out of them"
    if data.to_predict:
        test += f", {data.to_predict.rows:,} to predict"
    budget = duration.show(wish.budget_s) if wish.budget_s else "none"
    rows: list[tuple[str, object]] = [
        ("run", plan.run),
        ("data", f"{data.name}: {train}, {len(data.labels):,} classes, {test}"),
        ("classes", screens.counts(data.labels, data.train.class_rows)),
        ("preset", plan.title),
        ("budget", budget),
        ("folder", plan.scene.store / plan.run),
        *(("sent to", remote.address) for remote in plan.scene.remotes),
    ]
    out.screen(
        screens.key_values(rows), *(f"  - {reason}" for reason in plan.reasons), is_result=is_result
    )
    parts = plan.parts()
    if parts:
        out.table(("part", "kind", "after", "run"), parts)
    for warning in data.warnings:
        out.warn(warning)
    if plan.scene.is_lost_with_session:
        out.warn(next(r for r in plan.reasons if r.startswith("storage: ")).partition(": ")[2])
    if is_result:
        passed = [(p.name, p.reason) for p in getattr(plan, "passed_over", ())]
        if passed:
            out.table(("passed over", "why"), passed)
        out.screen("Nothing was trained. Without --dry-run this plan is carried out.")


def status(out: Output, found: Status) -> None:
    """How a run stands, and each store with what it has."""
    of = f" of {found.total_steps}" if found.total_steps else ""
    of += f", of {found.candidate}" if found.candidate else ""
    step = "none yet" if found.step is None else f"{found.step}{of}"
    is_joined = bool(found.parts) and found.step is None  # its parts are trained, and not itself
    rows: list[tuple[str, object]] = [
        ("run", found.run),
        ("state", found.state),
        *([] if is_joined else [("step", step)]),
        ("took", _took(found)),
        ("folder", found.folder),
    ]
    if found.next:
        rows.append(("next", found.next))
    if found.parts:
        left = sum(part.state != "done" for part in found.parts)
        rows.append(("parts", f"{len(found.parts) - left} of {len(found.parts)} done"))
    out.screen(screens.key_values(rows))
    if found.parts:
        out.screen("")
        parts = [(p.title, p.kind, p.state, p.run, p.where) for p in found.parts]
        out.table(("part", "kind", "state", "run", ""), parts)
    lines = [
        (s.store, s.newest or "nothing", s.proof or "", screens.moment(s.pushed_at))
        for s in found.stores
        if s.newest or not is_joined
    ]
    if lines:
        out.screen("")
        out.table(("store", "has", "proof", "when"), lines)
    for store in found.stores:
        if store.problem:
            out.warn(f"{store.store}: {store.problem}")
        for branch in store.branches:
            out.say(f"A second session wrote {branch} in {store.store}; it is kept, and not used.")


def _took(found: Status) -> str:
    if not found.sessions:
        return "not known on this machine"
    plural = "" if found.sessions == 1 else "s"
    return f"{duration.show(found.hours * 3600)} in {found.sessions} session{plural}"


def result(out: Output, result: Result) -> None:
    """All figures, and last, where they stay in view, what everybody asks."""
    from agnews_cli.workflows.train import summary as summaries

    if result.was_there:
        out.say("This run was finished before; here is its result (--fresh trains it again).")
    found = result.evaluation
    if not out.is_json:
        beside(out, result.folder)
    out.screen(
        *screens.evaluation_screen(found, sections=("classes", "confusion", "mistakes")),
        "",
        screens.candidates_table(result.outcome.candidates, rows=found.validation.rows),
        "",
    )
    summary(out, summaries.of(result))
    out.result(result.as_json())


def beside(out: Output, folder: RunFolder) -> None:
    """A student beside its teacher, an export beside its model, an ensemble beside its members."""
    from agnews_cli.cli.comparison import tables
    from agnews_cli.store.run.parts import teacher_of
    from agnews_cli.workflows.runs.compare import of_ensemble, of_student

    teacher = teacher_of(folder)
    found = of_ensemble(folder) if teacher is None else of_student(folder, teacher)
    if found is not None:
        out.screen(*tables(found))


def summary(out: Output, found: Summary) -> None:
    """The nine answers. What may be long comes first: accuracy, folder and use are last."""
    facts = (
        ("model", found.model),
        ("took", found.took),
        ("quota", found.quota),
        *(("limits", one) for one in found.beyond),
        *(("test looks", _looks(found)) for _ in found.looks[1:2]),
    )
    out.screen(
        *screens.remarks("Mind", found.warnings),
        *screens.remarks("What would make it better", found.better),
        *map(screens.Verbatim, (found.use.file, *found.submit)),
        *map(screens.Verbatim, _in_python(found.use)),
        "",
        *screens.evaluation_screen(found.evaluation, sections=("figures",)),
        screens.key_values(facts),
        screens.Verbatim(f"folder {found.folder}"),
        *(screens.Verbatim(f"exported {place}") for place in (found.use.exported,) if place),
        screens.Verbatim(found.use.text),
    )


def _looks(found: Summary) -> str:
    """Where there were several: the first and the last."""
    first, last = found.looks[0], found.looks[-1]
    return (
        f"{len(found.looks):,}: {first.run} on {screens.moment(first.at.isoformat())} first, "
        f"{last.run} on {screens.moment(last.at.isoformat())} last"
    )


def _in_python(use: Use) -> tuple[str, ...]:
    if use.python is not None:
        return ("In Python, without agnews:", *use.python.splitlines())
    without = f"Without agnews: the lines in {use.card}"
    return ("In Python:", *use.load.splitlines(), without)
