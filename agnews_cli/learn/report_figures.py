"""Figures and pictures of finished runs: `python -m agnews_cli.learn.report_figures`.

A process of its own, for the command that asks knows no NumPy; and this one no torch.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from agnews_cli.core.report.curves import Curve, curves
from agnews_cli.core.report.figures import Figured, RunFigures, ToReport
from agnews_cli.core.run.comparison import Comparison, Members
from agnews_cli.core.run.diversity import Diversity
from agnews_cli.core.run.job import Outcome
from agnews_cli.core.run.work import TEST, VALIDATION
from agnews_cli.core.text import strict_json
from agnews_cli.errors import AgnewsError
from agnews_cli.learn.combine import logits
from agnews_cli.learn.combine.logits import Logits
from agnews_cli.learn.door import answering
from agnews_cli.learn.kinds import combiner
from agnews_cli.learn.report.by_class import by_class
from agnews_cli.learn.report.odd_rows import odd_rows
from agnews_cli.learn.report.reliability import reliability
from agnews_cli.store.disk import files
from agnews_cli.store.run.events import Events
from agnews_cli.store.run.runs import RunFolder

_COMBINER = "combiner"
_MOST_BYTES = 16_000_000


def figured(order: ToReport) -> Figured:
    """What is damaged or not there yet is left out: a report says what there is."""
    has_plots = find_spec("matplotlib") is not None
    runs = tuple(
        _of(RunFolder(Path(folder)), f"r{number}", has_plots=has_plots)
        for number, folder in enumerate(order.folders)
    )
    picture = ""
    if has_plots and order.side_by_side is not None:
        from agnews_cli.learn.report import pictures

        picture = pictures.side_by_side(order.side_by_side, "all-runs")
    return Figured(runs=runs, picture=picture, missing="" if has_plots else "matplotlib")


def _of(folder: RunFolder, prefix: str, *, has_plots: bool) -> RunFigures:
    evaluation, outcome = folder.evaluated(), folder.ended()
    validation, test = _said(folder, VALIDATION), _said(folder, TEST)
    hardest, mislabelled, noise = (
        odd_rows(validation, folder.path) if validation else ((), (), None)
    )
    diversity, members = _of_members(folder)
    found = RunFigures(
        run=folder.id,
        curves=curves(Events(folder.events)),
        reliability=reliability(validation, test, _built_in(folder, outcome)),
        hardest=hardest,
        mislabelled=mislabelled,
        noise=noise,
        diversity=diversity,
        members=members,
    )
    if evaluation is not None:
        split = evaluation.test or evaluation.validation
        if split.confusion:
            on = "test" if evaluation.test else "validation"
            classes = by_class([one.label for one in split.classes], split.confusion)
            found = found.model_copy(update={"on": on, "classes": classes})
    return (
        found.model_copy(update={"pictures": _drawn(found, folder, prefix)}) if has_plots else found
    )


def _built_in(folder: RunFolder, outcome: Outcome | None) -> float | None:
    """The temperature that is in the one model that is delivered, or in what joins several; None
    where there is none, or where an average has several."""
    held = [c for c in outcome.candidates if c.weight] if outcome is not None else []
    if folder.holds(_COMBINER):
        try:
            fitted = combiner.read(folder.path / _COMBINER)
        except AgnewsError:
            return None
        return None if fitted.temperature == 1.0 else fitted.temperature
    return held[0].temperature if len(held) == 1 and held[0].kind != "run" else None


def _drawn(found: RunFigures, folder: RunFolder, prefix: str) -> dict[str, str]:
    from agnews_cli.learn.report import pictures

    drawn = pictures.of_training(_shown(found.curves), prefix)
    evaluation = folder.evaluated()
    if evaluation is not None and found.on is not None:
        split = evaluation.test or evaluation.validation
        drawn["confusion"] = pictures.confusion(split, found.on, f"{prefix}-confusion")
        drawn["classes"] = pictures.class_bars(found.classes, found.on, f"{prefix}-classes")
    if found.reliability is not None:
        drawn["reliability"] = pictures.reliability(found.reliability, f"{prefix}-reliability")
    if found.diversity is not None and len(found.diversity.members) > 1:
        drawn["diversity"] = pictures.diversity(found.diversity, f"{prefix}-diversity")
    if found.members is not None:
        drawn["members"] = pictures.side_by_side(found.members, f"{prefix}-members")
    return drawn


def _shown(all_of: tuple[Curve, ...]) -> tuple[Curve, ...]:
    return tuple(curve for curve in all_of if len(curve.trained) + len(curve.validated) > 1)


def _said(folder: RunFolder, part: str) -> Logits | None:
    """None where it is not there, or damaged."""
    name = f"{part}.safetensors"
    if not folder.has(name):
        return None
    try:
        return logits.read(folder.path / name)
    except AgnewsError:
        return None


def _of_members(folder: RunFolder) -> tuple[Diversity | None, Comparison | None]:
    """Of an ensemble, as it was written when it was made."""
    try:
        text = files.read_plain(folder.path / "comparison.json", _MOST_BYTES)
        facts = strict_json.mapping(text)
        there = dict(facts.get("diversity") or {})
        there.pop("means", None)
        compared = Members.model_validate_json(text).compared
        diversity = Diversity.model_validate(there) if there else None
        return diversity, compared.get("test") or compared.get("validation")
    except (OSError, ValueError, TypeError):
        return None, None


if __name__ == "__main__":
    answering.answer(ToReport, figured)
