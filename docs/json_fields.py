"""`docs/json.md`: the fields that `--json` prints, from the code that makes them.

Which fields there are is read from dataclasses, models and the dictionaries that functions
return; what they mean stands in `json-fields.yaml`. A field without a meaning, or a meaning
without a field, is an error.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import textwrap
import typing
from collections.abc import Iterator, Mapping
from functools import reduce
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel

from agnews_cli.cli import (
    bars,
    catalogued,
    checkpoints,
    described,
    fitted,
    machine,
    output,
    planned,
    predict,
    quota,
)
from agnews_cli.core.advice.measured import (
    CurvePoint,
    LabelDoubts,
    LearningCurve,
    MeasuredData,
    TextDimension,
)
from agnews_cli.core.advice.seen import Advice
from agnews_cli.core.guards import data_facts
from agnews_cli.core.guards.risk import JudgedIndicator, Risk
from agnews_cli.core.hours.quota import Budget, Forecast
from agnews_cli.core.machine.accelerator import Accelerator
from agnews_cli.core.machine.finding import Finding
from agnews_cli.core.machine.platform import Platform
from agnews_cli.core.machine.probe import ProbeReport
from agnews_cli.core.report.figures import OddRow, Reliability, RunFigures
from agnews_cli.core.report.trials import Tried
from agnews_cli.core.run.catalogue import PublishedCount
from agnews_cli.core.run.comparison import Compared, Comparison, Difference
from agnews_cli.core.run.evaluation import Evaluation, Interval, SplitEvaluation
from agnews_cli.core.run.expected import Measured, Published
from agnews_cli.core.run.export import Verified
from agnews_cli.core.run.job import Candidate
from agnews_cli.core.run.likeness import Likeness
from agnews_cli.store.data import answers
from agnews_cli.workflows.advice.advise import Advised
from agnews_cli.workflows.app.app import AppPlan
from agnews_cli.workflows.app.space import WrittenSpace
from agnews_cli.workflows.check.check import DataCheck
from agnews_cli.workflows.check.cleaned import CleanedCopy
from agnews_cli.workflows.hours import quota as hours
from agnews_cli.workflows.hours import usage
from agnews_cli.workflows.launch import plans as launches
from agnews_cli.workflows.machine.cached import Cached
from agnews_cli.workflows.machine.doctor import Examination
from agnews_cli.workflows.machine.verify import ResumeVerdict
from agnews_cli.workflows.planning.plan import Planned
from agnews_cli.workflows.planning.rehearse import Rehearsal
from agnews_cli.workflows.prediction.export import ExportedModel
from agnews_cli.workflows.prediction.predict import Report
from agnews_cli.workflows.prediction.submission import Submission
from agnews_cli.workflows.presets.explained import ExplainedField, ExplainedPreset
from agnews_cli.workflows.publishing.publish import PublishedModel
from agnews_cli.workflows.report.lived import LivedThrough, Saves, SessionLived
from agnews_cli.workflows.report.report import RunReported, RunsReported
from agnews_cli.workflows.runs.compare import RunsCompared
from agnews_cli.workflows.runs.history import RunLine
from agnews_cli.workflows.runs.leaderboard import Board, Leaderboard, LeaderLine
from agnews_cli.workflows.runs.parts_status import PartLine
from agnews_cli.workflows.runs.status import Status
from agnews_cli.workflows.serving.serve import ServingPlan
from agnews_cli.workflows.sessions import saves
from agnews_cli.workflows.sessions.kept import Kept
from agnews_cli.workflows.train import afterwards, plans, summary
from agnews_cli.workflows.train.repro import MadeAgain
from agnews_cli.workflows.train.result import Result
from agnews_cli.workflows.train.scene import Scene

Shape = dict[str, Any]
"""Names of fields, each with the shape of what is in it."""

_EVALUATION = {
    "evaluation": Evaluation.as_json,
    "evaluation.validation": (SplitEvaluation, SplitEvaluation.as_json),
    "evaluation.validation.accuracy": None,
    "evaluation.validation.macro_f1": None,
}
SOURCES: dict[str, dict[str, Any]] = {
    "agnews.result/1": {
        "": (Scene.as_json, plans.Plan.as_json, Result.as_json, output.Output.error),
        "candidates": Candidate,
        **_EVALUATION,
        "use": afterwards.Use.as_json,
        "submission": Submission.as_json,
        "error.saved": Kept.as_json,
    },
    "agnews.summary/1": {"": summary.Summary.as_json, **_EVALUATION, "use": afterwards.Use.as_json},
    "agnews.platform/1": {
        "": (machine.as_json, Platform),
        "probe": ProbeReport,
        "usable": Accelerator,
        "findings": Finding,
    },
    "agnews.doctor/1": {"": Examination.as_json, "findings": Finding},
    "agnews.check/1": {
        "": DataCheck.as_json,
        "findings": Finding,
        "repeats": data_facts.Repeats,
        "repeats.found": data_facts.Repeated,
        "repeats.found.examples": None,
        "repeats.conflicts": data_facts.Conflicts,
        "repeats.conflicts.examples": None,
        "shifts": data_facts.Shift,
        "suspects": data_facts.Suspects,
        "suspects.rows": data_facts.Suspect,
        "suspects.rows.place": None,
        "giveaways": data_facts.Giveaway,
        "copy": CleanedCopy.as_json,
    },
    "agnews.advice/1": {
        "": Advised.as_json,
        "measured": MeasuredData,
        "measured.curve": LearningCurve,
        "measured.curve.points": CurvePoint,
        "measured.dimension": TextDimension,
        "measured.doubts": LabelDoubts,
        "advice": Advice.as_json,
    },
    "agnews.verify-resume/1": {"": (ResumeVerdict.as_json, ResumeVerdict)},
    "agnews.cache/1": {"": Cached.as_json},
    "agnews.plan/1": {"": (Planned.as_json, planned.show), "simulation": Rehearsal.as_json},
    "agnews.fit/1": {"": fitted.as_json},
    "agnews.quota/1": {
        "": (hours.View.as_json, bars.as_json),
        "rows": (Budget, hours.Row.as_json),
        "plan": hours.Demand.as_json,
    },
    "agnews.status/1": {"": (Status.as_json, Status), "parts": PartLine},
    "agnews.report/1": {
        "": RunsReported.as_json,
        "runs": RunReported.as_json,
        "runs.lived": LivedThrough.as_json,
        "runs.lived.sessions": SessionLived,
        "runs.lived.saves": Saves,
        "runs.risk": Risk.as_json,
        "runs.risk.indicators": JudgedIndicator,
        "runs.tried": Tried,
        "runs.tried.changed.drop": None,
        "runs.tried.looked_at.pieces": None,
        "runs.evaluation": None,
        "runs.figures": RunFigures,
        "runs.figures.curves": None,
        "runs.figures.classes": None,
        "runs.figures.reliability": Reliability,
        "runs.figures.reliability.before": None,
        "runs.figures.reliability.after": None,
        "runs.figures.hardest": OddRow,
        "runs.figures.mislabelled": None,
        "runs.figures.diversity": None,
        "runs.figures.members": None,
        "runs.figures.pictures": None,
    },
    "agnews.repro/1": {"": (MadeAgain.as_json, Likeness, Likeness.as_json)},
    "agnews.compare/1": {
        "": RunsCompared.as_json,
        "models": Compared,
        "models.accuracy": None,
        "differences": Difference,
        "differences.accuracy": None,
    },
    "agnews.export/1": {
        "": ExportedModel.as_json,
        "verified": Verified,
        "verified.comparison": Comparison,
        "verified.comparison.models": None,
        "verified.comparison.differences": None,
    },
    "agnews.prediction/1": {"": (Report.as_json, predict._label), "evaluation.accuracy": Interval},
    "agnews.published/1": {"": PublishedModel.as_json},
    "agnews.serving/1": {"": ServingPlan.as_json},
    "agnews.app/1": {"": AppPlan.as_json},
    "agnews.space/1": {"": WrittenSpace.as_json},
    "agnews.launch/1": {
        "": launches.as_json,
        "sessions": launches.session_as_json,
    },
    "agnews.submission/1": {"": Submission.as_json},
    "agnews.leaderboard/1": {
        "": Leaderboard.as_json,
        "boards": Board.as_json,
        "boards.runs": LeaderLine.as_json,
    },
    "agnews runs": {"": RunLine},
    "agnews presets ls": {
        "": described.as_json,
        "measured": Measured,
        "published": Published,
    },
    "agnews presets explain": {"": ExplainedPreset, "fields": ExplainedField},
    "agnews models": {"": catalogued.as_json, "published": PublishedCount},
    "agnews checkpoints ls": {"": saves.CheckpointLine},
    "agnews checkpoints verify": {"": checkpoints.verify},
    "agnews checkpoints push": {"": saves.Sent},
    "agnews checkpoints pull": {"": checkpoints.pull},
    "agnews checkpoints save-now": {"": saves.SavedOnRequest},
    "agnews quota log": {"": quota.log},
    "agnews quota set": {"": quota.set_},
    "agnews quota import": {"": usage.Imported},
    "agnews quota forecast": {"": Forecast},
    "agnews quota history": {"": quota.history},
    "agnews predict": {"": answers.ArrayWriter.row},
}
"""Where the fields of each object come from, by its schema or command; below it, by their
path. None: a plain value, whatever its type has inside."""

_SAYS_IT = ("result", "dumps")
"""What prints its argument."""


# ---- which fields there are ---------------------------------------------------------------------


def shape_of(sources: Mapping[str, Any]) -> Shape:
    """All fields of an object, and of what is in them."""
    whole: Shape = {}
    for path, source in sources.items():
        inner = whole
        for name in filter(None, path.split(".")):
            inner = inner[name]
        if source is None:
            inner.clear()
            continue
        for each in source if isinstance(source, tuple) else (source,):
            _merge(inner, _of_type(each) if isinstance(each, type) else _of_function(each))
    return whole


def _merge(shape: Shape, other: Shape) -> None:
    for name, inner in other.items():
        _merge(shape.setdefault(name, {}), inner)


def _of_type(kind: type) -> Shape:
    if issubclass(kind, BaseModel):
        fields = {name: field.annotation for name, field in kind.model_fields.items()}
    else:
        hints = typing.get_type_hints(kind)
        fields = {field.name: hints[field.name] for field in dataclasses.fields(kind)}
    return {name: _of_annotation(annotation) for name, annotation in fields.items()}


def _of_annotation(annotation: Any) -> Shape:
    """Of the records that a union or a tuple is made of."""
    if isinstance(annotation, type) and (
        dataclasses.is_dataclass(annotation) or issubclass(annotation, BaseModel)
    ):
        return _of_type(annotation)
    shape: Shape = {}
    for each in typing.get_args(annotation):
        _merge(shape, _of_annotation(each))
    return shape


def _of_function(function: Any) -> Shape:
    """Of the dictionaries that it returns or prints."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(inspect.unwrap(function))))
    shape: Shape = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Return) and node.value is not None:
            _merge(shape, _of_expression(node.value, tree))
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in _SAYS_IT
        ):
            _merge(shape, _of_expression(node.args[0], tree))
    return shape


def _of_expression(value: ast.expr, tree: ast.AST) -> Shape:
    shape: Shape = {}
    match value:
        case ast.Dict():
            for key, inner in zip(value.keys, value.values, strict=True):
                found = _of_expression(inner, tree)
                is_name = isinstance(key, ast.Constant)
                _merge(shape, {key.value: found} if is_name else {} if key else found)
        case ast.BinOp(left=one, right=two) | ast.IfExp(body=one, orelse=two):
            _merge(shape, _of_expression(one, tree))
            _merge(shape, _of_expression(two, tree))
        case ast.ListComp(elt=each):
            _merge(shape, _of_expression(each, tree))
        case ast.Name(id=name):
            for key, given in _given_to(name, tree):
                found = _of_expression(given, tree)
                _merge(shape, {key: found} if key else found)
    return shape


def _given_to(name: str, tree: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    """What is assigned to a name, and to its keys."""
    for node in ast.walk(tree):
        targets = node.targets if isinstance(node, ast.Assign) else []
        targets = [node.target] if isinstance(node, ast.AnnAssign) else targets
        for target in targets:
            match target:
                case ast.Name(id=known) if known == name and node.value:
                    yield "", node.value
                case ast.Subscript(value=ast.Name(id=known), slice=ast.Constant(value=key)):
                    if known == name:
                        yield key, node.value


# ---- the page -----------------------------------------------------------------------------------


def json_fields() -> str:
    """The page. Raises ValueError where fields and meanings differ."""
    prose = yaml.safe_load(Path(__file__).with_name("json-fields.yaml").read_text("utf-8"))
    if (names := set(prose["objects"])) != set(SOURCES):
        raise ValueError(f"json-fields.yaml: {sorted(names ^ set(SOURCES))}")
    lines = [prose["begins"].rstrip(), ""]
    for name, said in prose["objects"].items():
        whole = shape_of(SOURCES[name])
        for path in said.get("without", ()):  # it has another name when it is printed
            *above, last = path.split(".")
            del reduce(lambda inner, name: inner[name], above, whole)[last]
        for path in said.get("short", ()):  # another object's section has its fields
            whole[path].clear()
        lines += [f"## `{name}`{said.get('of', '')}", ""]
        lines += [said["says"].strip(), ""] if "says" in said else []
        lines += ["| field | meaning |", "| --- | --- |"]
        lines += [f"| {field} | {meaning} |" for field, meaning in _rows(name, whole, said)]
        lines += [""]
    return "\n".join(lines)


def _rows(name: str, whole: Shape, said: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    meanings: dict[str, str] = dict(said["fields"])
    for path, inner in _walk(whole):
        is_top = "." not in path
        meaning = meanings.pop(path, "")
        if is_top and not meaning:
            raise ValueError(f"json-fields.yaml: {name} has no meaning of {path}")
        if not (is_top or inner):
            continue
        notes = [(field, meanings.get(f"{path}.{field}", "")) for field in inner]
        parts = [f"`{field}`" + (f" ({note})" if note else "") for field, note in notes]
        yield f"`{path}`", ": ".join(filter(None, (meaning, ", ".join(parts))))
    if left := [path for path in meanings if not _has(whole, path)]:
        raise ValueError(f"json-fields.yaml: {name} has no {', '.join(left)}")


def _walk(shape: Shape, before: str = "") -> Iterator[tuple[str, Shape]]:
    for name, inner in shape.items():
        yield before + name, inner
        yield from _walk(inner, f"{before}{name}.")


def _has(shape: Shape, path: str) -> bool:
    name, _, rest = path.partition(".")
    return name in shape and (not rest or _has(shape[name], rest))
