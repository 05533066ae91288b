"""Which preset fits the machine and the goal, with the reason for it and for each passed over."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf, log
from typing import TYPE_CHECKING

from agnews_cli.core.run.cost import MOST_CPU_PARAMETERS, Cost
from agnews_cli.core.run.needs import Need
from agnews_cli.core.run.preset import Preset
from agnews_cli.core.run.request import Goal
from agnews_cli.core.run.row_rules import refusal, rule_for

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


@dataclass(frozen=True, slots=True)
class Finish:
    """When a preset would be finished, of which one must be by a moment: seconds from now.

    `finish_s`: None where no sessions can hold it. `words`: hours, sessions and quota.
    """

    finish_s: float | None
    until_s: float
    words: str

    @property
    def is_late(self) -> bool:
        return self.finish_s is None or self.finish_s > self.until_s


def choose(
    presets: Sequence[Preset],
    accelerator: Accelerator,
    goal: Goal,
    *,
    why_unavailable: Callable[[Preset], str | None],
    cost: Callable[[Preset], Cost | None] = lambda preset: None,
    rows: int | None = None,
    term: Callable[[Preset], Finish | None] = lambda preset: None,
    need: Callable[[Preset], Need | None] = lambda preset: None,
) -> Choice:
    """The preset highest in our order that fits; `why_unavailable`, maybe slow, is asked last.

    `rows`: that train, None: any number. `term`: None where there is no moment to be finished by,
    or nobody knows how long it takes. Where none is finished by then, the one that is finished
    first is taken, and that is said.
    """
    passed: list[PassedOver] = []
    late: list[tuple[float, Preset, Finish]] = []
    where = "a CPU" if accelerator.kind == "cpu" else accelerator.name
    few = "" if rows is None else _said_of(rows)
    for preset in sorted(presets, key=_key(goal)):
        reason = _misfit(preset, accelerator, goal) or _too_large(preset, rows, need(preset))
        ends = term(preset) if reason is None else None
        if reason is None and ends is not None and ends.is_late:
            late.append((inf if ends.finish_s is None else ends.finish_s, preset, ends))
            reason = f"{ends.words}: later than asked for"
        reason = reason or why_unavailable(preset)
        if reason is None:
            rank = "smallest" if goal == "speed" else "first in our order"
            first = f"{rank} of those that fit {where}{few} for the goal {goal!r}"
            words = (first, preset.summary, *([ends.words] if ends else []))
            return Choice(preset, words, tuple(passed), cost(preset))
        passed.append(PassedOver(preset.name, reason))
    for _, preset, ends in sorted(late, key=lambda one: one[0]):
        if why_unavailable(preset) is None:
            others = tuple(one for one in passed if one.name != preset.name)
            first = f"none that fits {where}{few} is finished by then; this one is first"
            return Choice(preset, (first, preset.summary, ends.words), others, cost(preset))
    return Choice(None, (), tuple(passed))


def _said_of(rows: int) -> str:
    rule = rule_for(rows)
    if rule.most_parameters is None:
        return f" and {rows:,} rows"
    most = rule.most_parameters // 1_000_000
    return f" and {rows:,} rows (at most {most} M weights below {rule.below:,} rows)"


def _too_large(preset: Preset, rows: int | None, need: Need | None) -> str | None:
    """For so few rows, or for the machine's memory."""
    few = None if rows is None else refusal(preset.model.parameters, rows)
    return few or (None if need is None else need.misfit)


def nearest(presets: Sequence[Preset], parameters: int, *, is_decoder: bool) -> Preset:
    """The preset whose recipe suits a model of this size best: of its kind, nearest by ratio.

    Of two as near, the first in our order.
    """
    tuned = [p for p in presets if p.is_chosen]
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
    if not preset.is_chosen:
        return "a linear model stands beside every other as its yardstick; name it to have it alone"
    millions = preset.model.parameters // 1_000_000
    if accelerator.kind == "cpu":
        if preset.model.parameters > MOST_CPU_PARAMETERS:
            return f"{millions} M weights are too slow to train on a CPU"
        return None
    if goal == "balanced" and preset.model.parameters > _BALANCED_PARAMETERS:
        return f"{millions} M weights: more than the goal 'balanced' spends"
    return None
