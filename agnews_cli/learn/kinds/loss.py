"""What a loss is: a module of `learn.losses`, named by the preset's `training.loss`, with

- `EXAMPLE`: fields of `Training`, for the suite that tests every loss;
- `begin(training, classes, count) -> Loss`: the loss of one fine-tuning. `classes`: of the training
  rows, (rows,); `count`: how many classes there are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch


@dataclass(frozen=True, slots=True)
class Targets:
    """What rows are to learn."""

    classes: torch.Tensor
    """(rows,) int64: the labels; -1 where a row has none, which only `loop.distil` is handed."""
    soft: torch.Tensor | None = None
    """(rows, classes): probabilities that are learnt instead, such as a linear model's mixed with
    the labels."""
    teacher: torch.Tensor | None = None
    """(rows, classes): logits of a teacher, from which is learnt besides."""
    hidden: torch.Tensor | None = None
    """(rows, width): hidden states of a teacher, which the model's own are to resemble."""
    weights: torch.Tensor | None = None
    """(rows,): how much each counts, such as a window of a long text; None: alike."""

    def of(self, rows: torch.Tensor) -> Targets:
        """Of these rows alone: their numbers, or whether each is one."""
        return self._each(lambda tensor: tensor[rows])

    def to(self, device: torch.device) -> Targets:
        return self._each(lambda tensor: tensor.to(device))

    def repeated(self, copies: int) -> Targets:
        """All rows so many times, one after the other."""
        return self if copies == 1 else self._each(lambda tensor: torch.cat([tensor] * copies))

    def filled(self, rows: int) -> Targets:
        """As those of so many rows: the first one's again, which count for nothing."""
        there = len(self.classes)
        at = torch.cat([torch.arange(there), torch.zeros(rows - there, dtype=torch.int64)])
        counts = torch.ones(there) if self.weights is None else self.weights
        return replace(self.of(at), weights=torch.cat([counts, counts.new_zeros(rows - there)]))

    def _each(self, change: Callable[[torch.Tensor], torch.Tensor]) -> Targets:
        names = ("soft", "teacher", "hidden", "weights")
        further = {name: getattr(self, name) for name in names}
        changed = {name: None if t is None else change(t) for name, t in further.items()}
        return replace(self, classes=change(self.classes), **changed)

    def summed(self, losses: torch.Tensor) -> torch.Tensor:
        """The loss of each row, (rows,), added up by their weights."""
        return losses.sum() if self.weights is None else (losses * self.weights).sum()


Loss = Callable[[torch.Tensor, Targets], torch.Tensor]
"""(logits (rows, classes), targets of these rows): the loss summed over the rows, by
their weights."""
