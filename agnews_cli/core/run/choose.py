"""Which preset fits the machine and the goal, with the reason for it and for each passed over."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import log
from typing import TYPE_CHECKING

from agnews_cli.core.run.cost import MOST_CPU_PARAMETERS, Cost
from agnews_cli.core.run.needs import Need
from agnews_cli.core.run.preset import Preset
from agnews_cli.core.run.request import Goal

if TYPE_CHECKING:
    from agnews_cli.core.machine.accelerator import Accelerator

_BALANCED_PARAMETERS = 150_000_000


@dataclass(frozen=True, slots=True)
class PassedOver:
    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Choice:
    """`preset` is None when nothing fits."""

    preset: Preset | None
    reasons: tuple[str, ...]
    passed_over: tuple[PassedOver, ...]
    cost: Cost | None = None
    """What training it takes, where that was asked for."""


def choose(
    presets: Sequence[Preset],
    accelerator: Accelerator,
    goal: Goal,
    *,
    why_unavailable: Callable[[Preset], str | None],
    cost: Callable[[Preset], Cost | None] = lambda preset: None,
    need: Callable[[Preset], Need | None] = lambda preset: None,
) -> Choice:
    """The preset highest in our order that fits; `why_unavailable`, maybe slow, is asked last."""
    passed: list[PassedOver] = []
    on_cpu = accelerator.kind == "cpu"
    for preset in sorted(presets, key=_key(goal)):
        reason = _misfit(preset, accelerator, goal) or _too_large(need(preset))
        reason = reason or why_unavailable(preset)
        if reason is None:
            where = "a CPU" if on_cpu else accelerator.name
            rank = "smallest" if goal == "speed" else "first in our order"
            reasons = (f"{rank} of those that fit {where} for the goal {goal!r}", preset.summary)
            return Choice(preset, reasons, tuple(passed), cost(preset))
        passed.append(PassedOver(preset.name, reason))
    return Choice(None, (), tuple(passed))


def nearest(presets: Sequence[Preset], parameters: int, *, is_decoder: bool) -> Preset:
    """The preset whose recipe suits a model of this size best: of its kind, nearest by ratio.

    Of two as near, the first in our order.
    """
    tuned = [p for p in presets if p.method.needs_weights]
    of_kind = [p for p in tuned if (p.tier == "llm") == is_decoder] or tuned
    return min(
        of_kind,
        key=lambda preset: (abs(log(preset.model.parameters / max(1, parameters))), -preset.order),
    )


def _key(goal: Goal) -> Callable[[Preset], tuple[int, int]]:
    if goal == "speed":
        return lambda preset: (preset.model.parameters, -preset.order)
    return lambda preset: (0, -preset.order)


def _misfit(preset: Preset, accelerator: Accelerator, goal: Goal) -> str | None:
    if not preset.method.needs_weights:
        return "it stands beside every other as its yardstick; name it to have it alone"
    millions = preset.model.parameters // 1_000_000
    if accelerator.kind == "cpu":
        if preset.model.parameters > MOST_CPU_PARAMETERS:
            return f"{millions} M weights are too slow to train on a CPU"
        return None
    if goal == "balanced" and preset.model.parameters > _BALANCED_PARAMETERS:
        return f"{millions} M weights: more than the goal 'balanced' spends"
    return None


def _too_large(need: Need | None) -> str | None:
    return None if need is None else need.misfit
