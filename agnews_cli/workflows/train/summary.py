"""What everybody asks of a finished run, answered from its own files and the ledger.

Which model and why; how good; how trusted; how long; what of the quota; where; how it is used,
also in Python; how better; how submitted (docs/questions.md). Nothing is trained or predicted.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agnews_cli.core.hours import quota
from agnews_cli.core.hours.resource import RESOURCES
from agnews_cli.core.machine.accelerator import Kind
from agnews_cli.core.run.evaluation import Evaluation
from agnews_cli.core.run.job import Outcome
from agnews_cli.core.run.looks import RecordedLook
from agnews_cli.core.run.model_limits import BEYOND
from agnews_cli.core.run.request import Wish
from agnews_cli.core.run.state import RunState
from agnews_cli.core.text import duration
from agnews_cli.errors import AgnewsError, RunUnfinished
from agnews_cli.store.disk import files
from agnews_cli.store.run import parts, runs
from agnews_cli.store.settings import limits
from agnews_cli.workflows.runs import looks_taken
from agnews_cli.workflows.runs.history import is_usual, sessions_of, where, word_for
from agnews_cli.workflows.train import afterwards

if TYPE_CHECKING:
    from agnews_cli.workflows.train.result import Result

SCHEMA = "agnews.summary/1"
_MOST_BYTES = 16 << 20
_MOST_S = 1e9


class _Submission(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    path: str
    rows: int
    command: str
    notes: tuple[str, ...] = ()


class _Device(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    kind: Kind = "cpu"


class _Kept(BaseModel):
    """Of `result.json`, what no other file of the run says."""

    model_config = ConfigDict(extra="ignore", frozen=True, allow_inf_nan=False)

    wall_s: Annotated[float, Field(ge=0, le=_MOST_S)] | None = None
    platform: str = ""
    accelerator: _Device = _Device()
    reasons: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    better: tuple[str, ...] = ()
    submission: _Submission | None = None


@dataclass(frozen=True, slots=True)
class Summary:
    """The answers in words; `evaluation` is how good it is, and how sure that is."""

    run: str
    folder: Path
    model: str
    evaluation: Evaluation
    took: str
    quota: str
    use: afterwards.Use
    submit: tuple[str, ...]
    """What is written already, and last the command."""
    better: tuple[str, ...]
    warnings: tuple[str, ...]
    beyond: tuple[str, ...]
    """What went beyond limits, and why."""
    looks: tuple[RecordedLook, ...]
    """All that were taken at its test rows, the oldest first."""

    def as_json(self) -> dict[str, Any]:
        """Schema `agnews.summary/1` (docs/json.md)."""
        return {
            "schema": SCHEMA,
            "run": self.run,
            "folder": str(self.folder),
            "model": self.model,
            "evaluation": self.evaluation.as_json(),
            "took": self.took,
            "quota": self.quota,
            "use": self.use.as_json(),
            "submit": list(self.submit),
            "better": list(self.better),
            "warnings": list(self.warnings),
            "beyond": list(self.beyond),
            "looks": [
                {"at": one.at.isoformat(), "run": one.run, "why": one.why} for one in self.looks
            ],
        }


def of(result: Result) -> Summary:
    """What `agnews auto` says last; of a run that was there before, what it said then."""
    kept = _kept(result.folder) if result.was_there else None
    found = kept or _Kept.model_validate(result.as_json())
    return _summary(result.folder, result.outcome, result.evaluation, found, result.use)


def of_run(run: str, store: Path | None) -> Summary:
    """Of any finished run. Raises RunUnknown or RunUnfinished."""
    folder = runs.find(where(store), run)
    outcome, evaluation = folder.ended(), folder.evaluated()
    if outcome is None or outcome.state != RunState.COMPLETED or evaluation is None:
        raise RunUnfinished(run=word_for(folder))
    use = afterwards.use(folder, store=None if is_usual(folder) else folder.path.parent)
    return _summary(folder, outcome, evaluation, _kept(folder) or _Kept(), use)


def _kept(folder: runs.RunFolder) -> _Kept | None:
    try:
        data = files.read_small(folder.path / "result.json", _MOST_BYTES)
        return _Kept.model_validate_json(data)
    except (OSError, ValidationError, AgnewsError):  # it came without, or damaged: less is said
        return None


def _summary(
    folder: runs.RunFolder,
    outcome: Outcome,
    evaluation: Evaluation,
    kept: _Kept,
    use: afterwards.Use,
) -> Summary:
    store = folder.path.parent
    return Summary(
        run=folder.id,
        folder=folder.path,
        model=_model(outcome, kept),
        evaluation=looks_taken.recounted(evaluation, store),
        took=_took(folder, kept),
        quota=_quota(kept),
        use=use,
        submit=_submit(kept.submission, use),
        better=kept.better,
        warnings=kept.warnings or outcome.notes,
        beyond=tuple(one for one in kept.reasons if one.startswith(BEYOND)),
        looks=looks_taken.of((evaluation,), store),
    )


def _model(outcome: Outcome, kept: _Kept) -> str:
    """What is delivered, why it and not another, and why that preset."""
    held = [c for c in outcome.candidates if c.weight]
    shares = ", ".join(f"{c.name} {c.weight:.0%}" for c in held)
    what = outcome.why or (shares if len(held) > 1 else "".join(c.name for c in held))
    preset = next((r for r in kept.reasons if r.startswith("preset ")), "")
    return "; ".join(filter(None, (what, preset.partition(";")[0])))


def _took(folder: runs.RunFolder, kept: _Kept) -> str:
    """All sessions of the run; of what is made of several, those of every part."""
    every = parts.runs_of(folder)
    found = tuple(session.seconds for run in every for session in sessions_of(run))
    if len(every) > 1 and found:
        return f"{duration.show(sum(found))}, all {len(every)} parts together"
    if len(found) > 1:
        return f"{duration.show(sum(found))} in {len(found)} sessions"
    whole_s = kept.wall_s if kept.wall_s is not None else sum(found)
    if not whole_s:
        return "not known on this machine"
    budget_s = (folder.order() or Wish()).budget_s
    over_s = 0.0 if budget_s is None else whole_s - budget_s
    late = f", {duration.show(over_s)} more than the budget" if over_s >= 1 else ""
    return duration.show(whole_s) + late


def _quota(kept: _Kept) -> str:
    """What is left where it was trained, as far as this machine knows; nobody is asked."""
    from agnews_cli.workflows.hours.quota import look

    if not kept.platform or kept.platform not in limits.names():
        return "none of it: nobody counts the hours of this machine"
    kind = RESOURCES[kept.accelerator.kind]
    try:
        found = look(platform=kept.platform, is_offline=True).rows
    except AgnewsError as error:  # the run is finished all the same
        return f"what is left on {kept.platform} is not known now: {error.message}"
    budget = next((row.budget for row in found if row.budget.resource == kind), None)
    if budget is None or budget.left_s is None:
        say = f"agnews quota set {kept.platform} {kind} 11.2h"
        return f"what is left on {kept.platform} is not known; say it: {say}"
    until = f" until {quota.moment(budget.returns_at)}" if budget.returns_at else ""
    left = f"{quota.hours(budget.left_s)} of {budget.title} {kind.upper()} left{until}"
    return f"{left}, {budget.how}; now: agnews quota"


def _submit(found: _Submission | None, use: afterwards.Use) -> tuple[str, ...]:
    if found is None:
        return (use.competition,)
    return (f"{found.rows:,} test rows are labelled in {found.path}", *found.notes, found.command)
