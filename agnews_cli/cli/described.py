"""Presets of any tier as rows and objects."""

from __future__ import annotations

from collections.abc import Sequence
from json import dumps
from typing import TYPE_CHECKING, Any

from agnews_cli.core.graph.advice import parameters
from agnews_cli.core.graph.asked import (
    AnyPreset,
    Distilled,
    Ensemble,
    Finished,
    Single,
    expected,
    singles,
)
from agnews_cli.core.graph.shapes import graph_of
from agnews_cli.core.run.cost import like_news
from agnews_cli.core.run.work import Train

if TYPE_CHECKING:
    from agnews_cli.cli.output import Output
    from agnews_cli.workflows.presets.explained import ExplainedPreset

_ROWS = 1000
"""Of any data: which models are trained does not hang on them."""


def table(shapes: Sequence[AnyPreset]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Columns and rows: name, weights, method, accuracy where one is known, what it is good for."""
    columns = ["name", "weights", "method", "good for"]
    rows = [[one.name, _millions(parameters(one)), _method(one), one.summary] for one in shapes]
    if any(map(expected, shapes)):
        columns.insert(3, "accuracy")
        for row, shape in zip(rows, shapes, strict=True):
            row.insert(3, _expected(shape))
    return tuple(columns), list(map(tuple, rows))


def _expected(shape: AnyPreset) -> str:
    """In a word; with all that belongs to it, `agnews presets explain` says it."""
    if shape.measured:
        return f"{max(one.accuracy for one in shape.measured):.1%} measured"
    if shape.published:
        return f"{max(one.accuracy for one in shape.published):.1%} published"
    return ""


def as_json(shape: AnyPreset) -> dict[str, Any]:
    """One object of `agnews presets ls --json` (docs/json.md)."""
    preset = shape.preset if isinstance(shape, Single) else None
    return {
        "name": shape.name,
        "tier": shape.tier,
        "model": preset.model.id if preset else None,
        "method": _method(shape),
        "parameters": parameters(shape),
        "members": _named(shape),
        "summary": shape.summary,
        "measured": [one.model_dump() for one in shape.measured],
        "published": [one.model_dump() for one in shape.published],
    }


def explained(out: Output, found: ExplainedPreset) -> None:
    """What is said, with meaning, file and reason; then all that is as usual."""
    out.screen(f"{found.name} is a preset of tier {found.tier}: {found.summary}")
    out.screen(*(f"Extends {file}" for file in found.extends))
    out.screen(*(f"Expected accuracy: {words}" for words in found.expected))
    out.screen("", found.about)
    for one in found.fields:
        if one.said != "usual":
            out.screen("", f"{one.field}: {_shown(one.value)}", f"  said in {one.where}")
            out.screen(
                *(f"  {text}" for text in (one.meaning, one.why and f"Why: {one.why}") if text)
            )
    usual = [(f.field, _shown(f.value), f.meaning) for f in found.fields if f.said == "usual"]
    out.screen("")
    out.table(("field", "value", "meaning"), usual, title="as usual, for no file says it")


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else dumps(value)


def models(shape: AnyPreset) -> tuple[list[tuple[str, ...]], int]:
    """Each model that is trained on all rows, what for, and which it is; and how many more are
    trained on parts of them."""
    by_recipe = {one.recipe: one.preset for one in singles(shape)}
    rows: list[tuple[str, ...]] = []
    by_turns = 0
    for node in graph_of(shape, like_news(_ROWS)).nodes.values():
        if not isinstance(node.work, Train):
            continue
        if node.work.rows.fold is not None:
            by_turns += 1
            continue
        one = by_recipe[node.work.recipe]
        weights, seed = _millions(one.model.parameters), f"+{node.work.seed}"
        rows.append((node.title, one.name, one.method.kind, weights, seed))
    return rows, by_turns


def _method(shape: AnyPreset) -> str:
    match shape:
        case Single():
            return shape.preset.method.kind
        case Ensemble():
            return shape.how.kind
        case Distilled():
            return "distillation"
        case Finished():
            return "run"


def _named(shape: AnyPreset) -> list[str]:
    """What it is made of: members, or the teacher and the student."""
    match shape:
        case Single() | Finished():
            return []
        case Ensemble():
            return [one.name for one in shape.members]
        case Distilled():
            return [shape.teacher.name, shape.student.name]


def _millions(weights: int) -> str:
    return f"{weights / 1e6:,.0f} M"
