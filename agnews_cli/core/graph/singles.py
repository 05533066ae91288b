"""The models of a preset of any tier, each changed in its place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import cast

from agnews_cli.core.graph.shapes import AnyPreset, Distilled, Ensemble, Single


def each(shape: AnyPreset, change: Callable[[Single], Single]) -> AnyPreset:
    """The same shape of the models that `change` makes of its own."""
    match shape:
        case Single():
            return change(shape)
        case Ensemble():
            members = tuple(each(one, change) for one in shape.members)
            return replace(shape, members=cast("tuple[Single, ...]", members))
        case Distilled():
            return replace(
                shape, teacher=each(shape.teacher, change), student=change(shape.student)
            )
