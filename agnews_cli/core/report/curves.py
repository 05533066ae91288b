"""How a training went, from what its worker told: losses, accuracy and rate, step by step.

A run that was interrupted tells some steps twice; what was told last is what the run kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict

from agnews_cli.core.hours.accounting import ToldEvent
from agnews_cli.core.text import strict_json

MOST_POINTS = 300
"""Of one curve: more are not seen at the width of a page."""


class _Facts(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TrainedPoint(_Facts):
    step: int
    loss: float
    """Of the last steps, in nats a row, with all that training adds: dropout, mixed rows, …"""
    lr: float | None


class ValidatedPoint(_Facts):
    step: int
    loss: float
    """Of the validation rows, calibrated."""
    accuracy: float | None
    best: bool
    """Whether these weights were the best so far."""
    raw_loss: float | None = None
    """Of the validation rows as it stands, which is what compares with `train_loss`."""
    train_loss: float | None = None
    """Of training rows, asked in the same way; None where nobody asked."""
    train_accuracy: float | None = None


class Curve(_Facts):
    """One fine-tuning."""

    candidate: str
    trained: tuple[TrainedPoint, ...]
    validated: tuple[ValidatedPoint, ...]
    resumed_at: tuple[int, ...]
    """Steps at which a later session went on."""
    total_steps: int | None

    @property
    def best(self) -> ValidatedPoint | None:
        """The validation whose weights are kept: the last that was the best so far."""
        return next((point for point in reversed(self.validated) if point.best), None)

    @property
    def last_step(self) -> int:
        trained, validated = (p.step for p in self.trained), (p.step for p in self.validated)
        return max((*trained, *validated), default=0)


def curves(events: Iterable[ToldEvent]) -> tuple[Curve, ...]:
    """One for each fine-tuning, in the order in which they began."""
    found: dict[str, _Draft] = {}
    for event in events:
        name = event.data.get("candidate")
        if event.kind not in ("progress", "validated", "resumed") or not isinstance(name, str):
            continue
        step = strict_json.whole(event.data.get("step"))
        if step is None:
            continue
        draft = found.setdefault(name, _Draft())
        draft.total = strict_json.whole(event.data.get("total_steps")) or draft.total
        draft.add(event.kind, step, event.data)
    return tuple(d.curve(name) for name, d in found.items() if d.trained or d.validated)


class _Draft:
    def __init__(self) -> None:
        self.trained: dict[int, TrainedPoint] = {}
        self.validated: dict[int, ValidatedPoint] = {}
        self.resumed: list[int] = []
        self.total: int | None = None

    def add(self, kind: str, step: int, data: Mapping[str, Any]) -> None:
        if kind == "resumed":  # what was done beyond it is done again
            self.trained = {at: one for at, one in self.trained.items() if at <= step}
            self.validated = {at: one for at, one in self.validated.items() if at <= step}
            self.resumed.append(step)
            return
        loss = strict_json.number(data.get("loss"))
        if loss is None:
            return
        if kind == "progress":
            lr = strict_json.number(data.get("lr"))
            self.trained[step] = TrainedPoint(step=step, loss=loss, lr=lr)
            return
        self.validated[step] = ValidatedPoint(
            step=step,
            loss=loss,
            accuracy=strict_json.number(data.get("accuracy")),
            best=data.get("best") is True,
            raw_loss=strict_json.number(data.get("raw_loss")),
            train_loss=strict_json.number(data.get("train_loss")),
            train_accuracy=strict_json.number(data.get("train_accuracy")),
        )

    def curve(self, name: str) -> Curve:
        return Curve(
            candidate=name,
            trained=thinned([self.trained[at] for at in sorted(self.trained)]),
            validated=thinned([self.validated[at] for at in sorted(self.validated)]),
            resumed_at=tuple(self.resumed),
            total_steps=self.total,
        )


Point = TypeVar("Point")


def thinned(points: Sequence[Point], most: int = MOST_POINTS) -> tuple[Point, ...]:
    """At most so many of them, evenly, the first and the last among them."""
    if len(points) <= most:
        return tuple(points)
    return tuple(points[round(n * (len(points) - 1) / (most - 1))] for n in range(most))
