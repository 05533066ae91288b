"""What a training run looks like now, in words: from its events to one line and a title."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from agnews_cli.cli.screens import one_line, percent
from agnews_cli.core.text import duration

if TYPE_CHECKING:
    from agnews_cli.core.run.job import Event


PASSING = frozenset({"progress", "work"})
"""Events that show how far something is, and leave no line."""


@dataclass(frozen=True, slots=True)
class Picture:
    phase: str = ""
    candidate: str = ""
    step: int | None = None
    total_steps: int | None = None
    examples_per_s: float | None = None
    left_s: float | None = None
    loss: float | None = None
    accuracy: float | None = None
    unit: str = "examples"

    def after(self, event: Event) -> Picture:
        data = event.data
        if event.kind == "phase":
            return Picture(phase=_word(data, "name"), accuracy=self.accuracy)
        if event.kind == "candidate":
            return Picture(phase=self.phase)
        if event.kind == "validated":
            return replace(self, accuracy=_figure(data, "accuracy"))
        if event.kind == "work":
            return Picture(
                phase=_word(data, "name"),
                step=_whole(data, "done"),
                total_steps=_whole(data, "total"),
                examples_per_s=_figure(data, "per_s"),
                left_s=_figure(data, "left_s"),
                unit="rows",
            )
        if event.kind != "progress":
            return self
        candidate = _word(data, "candidate")
        is_other = bool(self.candidate) and candidate != self.candidate
        return Picture(
            phase=self.phase,
            candidate=candidate,
            step=_whole(data, "step"),
            total_steps=_whole(data, "total_steps"),
            examples_per_s=_figure(data, "examples_per_s"),
            left_s=_figure(data, "left_s"),
            loss=_figure(data, "loss"),
            accuracy=None if is_other else self.accuracy,
        )

    @property
    def title(self) -> str:
        begun = "starting" if self.step is None else "training"
        return " ".join(part for part in (self.phase, self.candidate) if part) or begun

    @property
    def count(self) -> str:
        if self.step is None:
            return ""
        if not self.total_steps:
            return f"{self.step:,} rows" if self.unit == "rows" else f"step {self.step:,}"
        share = 100 * self.step // self.total_steps
        return f"{self.step:,}/{self.total_steps:,} ({share}%)"

    @property
    def details(self) -> str:
        parts = []
        if self.examples_per_s is not None:
            digits = 0 if self.examples_per_s >= 100 else 1
            parts.append(f"{self.examples_per_s:,.{digits}f} {self.unit}/s")
        if self.left_s is not None:
            parts.append(f"{duration.show(self.left_s)} left")
        if self.loss is not None:
            parts.append(f"loss {self.loss:.3f}")
        if self.accuracy is not None:
            parts.append(f"validation {percent(self.accuracy)}")
        return ", ".join(parts)

    @property
    def line(self) -> str:
        return "  ".join(part for part in (self.title, self.count, self.details) if part)


def _word(data: Mapping[str, Any], key: str) -> str:
    value = data.get(key)
    return "" if value is None else one_line(str(value))


def _figure(data: Mapping[str, Any], key: str) -> float | None:
    value = data.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def _whole(data: Mapping[str, Any], key: str) -> int | None:
    figure = _figure(data, key)
    return None if figure is None else int(figure)


def finished_line(event: Event) -> str | None:
    """The line that stays after `event`; None for progress and phases, which pass."""
    data = event.data
    match event.kind:
        case "started":
            world = _whole(data, "world") or 1
            several = f" ({world} processes)" if world > 1 else ""
            return f"work began in process {_word(data, 'pid')}{several}"
        case "validated":
            # A figure that is not finite is said as such: that is when people need to see it.
            marks = [f"accuracy {_shown(data, 'accuracy', percent)}"]
            if _figure(data, "train_accuracy") is not None:
                marks.append(f"{_shown(data, 'train_accuracy', percent)} of training rows")
            marks.append(f"loss {_shown(data, 'loss', '{:.4f}'.format)}")
            if data.get("best"):
                marks.append("best so far")
            where = " ".join(part for part in (_word(data, "candidate"), _at_step(data)) if part)
            return f"validated {where}: {', '.join(marks)}"
        case "candidate":
            seconds = _figure(data, "seconds")
            took = "" if seconds is None else f" in {duration.show(seconds)}"
            accuracy = _shown(data, "validation_accuracy", percent)
            return f"trained {_word(data, 'name')}: validation accuracy {accuracy}{took}"
        case "resumed":
            return f"goes on {_at_step(data)} of {data.get('total_steps')}, exactly as it stood"
        case "saved":
            return f"saved {_at_step(data)} ({_word(data, 'seconds')} s)"
        case "note" | "finding":
            return _word(data, "text")
        case "warning":
            return "warning: " + _word(data, "text")
        case "ended":
            return f"work {_word(data, 'state')}"
        case _:
            return None


def _at_step(data: Mapping[str, Any]) -> str:
    step = _whole(data, "step")
    return "" if step is None else f"at step {step:,}"


def _shown(data: Mapping[str, Any], key: str, how: Callable[[float], str]) -> str:
    figure = _figure(data, key)
    return str(data.get(key, "unknown")) if figure is None else how(figure)


def stamped(elapsed_s: float, line: str) -> str:
    whole = max(0, int(elapsed_s))
    return f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}  {line}"
