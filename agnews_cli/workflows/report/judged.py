"""The numbers of the risk score, from what of a run was measured; see `core.guards.risk`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import fmean, stdev

from agnews_cli.core.guards.data_facts import DataFacts
from agnews_cli.core.guards.risk import Name, Risk, RiskNumber, risk
from agnews_cli.core.report.curves import Curve
from agnews_cli.core.report.figures import RunFigures
from agnews_cli.core.run.anatomy import Anatomy
from agnews_cli.core.run.dataset import Split
from agnews_cli.core.run.evaluation import Evaluation
from agnews_cli.core.run.method import Full
from agnews_cli.core.run.preset import Preset
from agnews_cli.core.run.state import RunState
from agnews_cli.errors import AgnewsError
from agnews_cli.store.run import runs
from agnews_cli.store.run.runs import RunFolder
from agnews_cli.store.settings import presets

_LAST_SHARE = 0.2
"""Of the steps up to the best ones, those whose training loss counts."""


def judged(
    folder: RunFolder,
    parts: Sequence[RunFolder],
    figures: Sequence[RunFigures],
    checked: DataFacts | None,
    looks: int | None,
    rows: int | None,
) -> Risk:
    """`parts`: the run, or all that it is made of; `figures`: of each of these, in that order;
    `rows`: that trained."""
    found: dict[Name, RiskNumber | None] = {}
    curves = [curve for one in figures for curve in one.curves if curve.best is not None]
    found["loss_gap"] = _loss_gap(curves)
    found["accuracy_gap"] = _accuracy_gap(curves)
    own = folder.evaluated()
    found["calibration_error"] = _calibration(own)
    found["leaked_rows"] = _leaked(own, checked)
    found |= _of_data(checked)
    noise = next((one.noise for one in figures if one.run == folder.id), None)
    if found.get("label_noise") is None and noise is not None and noise.asked:
        share = noise.suspects / noise.asked
        found["label_noise"] = RiskNumber(
            share, f"of {noise.asked:,} validation rows, by its own model"
        )
    trained = [(part, preset) for part in parts if (preset := _preset(part)) is not None]
    found["parameters_per_row"] = _parameters([preset for _, preset in trained], rows)
    by_run = {part.id: preset for part, preset in trained}
    found["epochs_after_best"] = _after_best(figures, by_run)
    found["spread"] = _spread(folder, curves, parts)
    if looks is not None:
        found["test_looks"] = RiskNumber(looks, "by all runs of the stores known here")
    return risk({name: one for name, one in found.items() if one is not None})


def _preset(folder: RunFolder) -> Preset | None:
    """None of what trains nothing itself."""
    try:
        return presets.load(str(folder.preset))
    except AgnewsError:
        return None


# ---- of the training ----------------------------------------------------------------------------


def _loss_gap(curves: Iterable[Curve]) -> RiskNumber | None:
    gaps, are_asked = [], []
    for curve in curves:
        best = curve.best
        if best is None:
            continue
        train, held = best.train_loss, best.loss
        if train is not None and best.raw_loss is not None:
            held = best.raw_loss
        are_asked.append(train is not None)
        if train is None:
            near = [p.loss for p in curve.trained if p.step <= best.step]
            last = near[-max(1, round(_LAST_SHARE * len(near))) :]
            train = fmean(last) if last else None
        if train is not None:
            gaps.append(held - train)
    if not gaps:
        return None
    how = "training rows asked alike" if all(are_asked) else "the loss of the last training steps"
    return RiskNumber(fmean(gaps), f"at the weights that are kept; {how}")


def _accuracy_gap(curves: Iterable[Curve]) -> RiskNumber | None:
    gaps = [
        best.train_accuracy - best.accuracy
        for curve in curves
        if (best := curve.best) is not None
        and best.train_accuracy is not None
        and best.accuracy is not None
    ]
    return RiskNumber(fmean(gaps), "at the weights that are kept") if gaps else None


def _after_best(figures: Iterable[RunFigures], by_run: dict[str, Preset]) -> RiskNumber | None:
    """In epochs: the steps after the best ones, by how many steps an epoch has."""
    found = []
    for one in figures:
        preset = by_run.get(one.run)
        if preset is None or preset.training.cycles:  # each cycle ends with weights of its own
            continue
        for curve in one.curves:
            if curve.best is not None and curve.total_steps:
                after = curve.last_step - curve.best.step
                found.append(after * preset.training.epochs / curve.total_steps)
    return RiskNumber(fmean(found), "which are not delivered") if found else None


def _spread(
    folder: RunFolder, curves: Iterable[Curve], parts: Sequence[RunFolder]
) -> RiskNumber | None:
    """Of folds where rows validate by turns; else of runs that differ in their seed alone."""
    folds = [c.best.accuracy for c in curves if "-fold" in c.candidate and c.best is not None]
    known = [each for each in folds if each is not None]
    if len(known) > 1:
        return RiskNumber(stdev(known), f"over {len(known)} folds")
    others = list(parts) if len(parts) > 1 else _siblings(folder)
    alike: dict[str, list[float]] = {}
    for other in others:
        evaluation, preset = other.evaluated(), _preset(other)
        if evaluation is not None and preset is not None:
            reached = evaluation.validation.accuracy.value
            alike.setdefault(preset.name, []).append(reached)
    most = max(alike.values(), key=len, default=[])
    return RiskNumber(stdev(most), f"over {len(most)} seeds") if len(most) > 1 else None


def _siblings(folder: RunFolder) -> list[RunFolder]:
    """Finished runs beside it with its recipe, and the same data, of any seed."""
    mine, data = folder.preset_name(), folder.dataset_name()
    found = []
    for other in runs.list_runs(folder.path.parent):
        if (other.preset_name(), other.dataset_name()) == (mine, data):
            outcome = other.ended()
            if outcome is not None and outcome.state == RunState.COMPLETED:
                found.append(other)
    return found


def _parameters(trained: Sequence[Preset], rows: int | None) -> RiskNumber | None:
    full = [p for p in trained if isinstance(p.method, Full)]
    if not full or not rows:
        return None
    most = max(p.method.trained_parameters(Anatomy(p.model.parameters)) for p in full)
    return RiskNumber(most / rows, f"{most:,} of {rows:,} rows, every weight trained")


# ---- of the data and the answers ----------------------------------------------------------------


def _calibration(own: Evaluation | None) -> RiskNumber | None:
    if own is None:
        return None
    split, on = (own.test, "test") if own.test is not None else (own.validation, "validation")
    return RiskNumber(split.calibration_error, f"of {split.rows:,} {on} rows")


def _leaked(own: Evaluation | None, checked: DataFacts | None) -> RiskNumber | None:
    if checked is not None:
        evaluated: Split = "test" if "test" in checked.split_rows else "validation"
        rows = checked.split_rows.get(evaluated)
        if rows:
            there = [r for r in checked.repeats.found if (r.split, r.of) == ("train", evaluated)]
            same = sum(one.of_rows for one in there)
            how = "exactly or as a copy" if checked.repeats.compared else "exactly"
            return RiskNumber(same / rows, f"{same:,} of {rows:,} {evaluated} rows, {how}")
    if own is None or own.test is None or not own.test.rows:
        return None
    split = own.test
    return RiskNumber(split.rows_in_training / split.rows, f"of {split.rows:,} test rows, exactly")


def _of_data(checked: DataFacts | None) -> dict[Name, RiskNumber | None]:
    if checked is None:
        return {}
    found: dict[Name, RiskNumber | None] = {}
    shift = next((s for s in checked.shifts if s.split == "validation"), None) or next(
        iter(checked.shifts), None
    )
    if shift is not None:
        found["label_shift"] = RiskNumber(shift.label_effect, f"of the {shift.split} rows")
    suspects = checked.suspects
    if suspects is not None and suspects.asked:
        share = suspects.count / suspects.asked
        found["label_noise"] = RiskNumber(share, f"of {suspects.asked:,} training rows")
    return found
