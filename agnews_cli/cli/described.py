"""Presets of any tier as rows and objects."""

from __future__ import annotations

from typing import Any

from agnews_cli.core.graph.advice import parameters
from agnews_cli.core.graph.asked import AnyPreset, Distilled, Ensemble, Finished, Single, singles
from agnews_cli.core.graph.shapes import graph_of
from agnews_cli.core.run.cost import like_news
from agnews_cli.core.run.work import Train

_ROWS = 1000
"""Of any data: which models are trained does not hang on them."""


def row(shape: AnyPreset) -> tuple[str, ...]:
    """Name, weights, method, what it is good for."""
    return (shape.name, _millions(parameters(shape)), _method(shape), shape.summary)


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
        "measured": [one.model_dump() for one in preset.measured] if preset else [],
    }


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
