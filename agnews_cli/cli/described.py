"""Presets of any tier as rows and objects."""

from __future__ import annotations

from typing import Any

from agnews_cli.core.graph.advice import parameters
from agnews_cli.core.graph.asked import AnyPreset, Distilled, Ensemble, Finished, Single, singles


def row(shape: AnyPreset) -> tuple[str, ...]:
    """Name, tier, method, weights, what it is good for."""
    return (shape.name, shape.tier, _method(shape), _millions(parameters(shape)), shape.summary)


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


def models(shape: AnyPreset) -> list[tuple[str, ...]]:
    """Each model that is trained."""
    return [
        (one.name, one.preset.method.kind, _millions(one.preset.model.parameters), f"+{one.seed}")
        for one in singles(shape)
    ]


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
