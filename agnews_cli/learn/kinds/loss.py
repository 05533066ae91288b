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
    """(rows,) int64: the labels."""
    soft: torch.Tensor | None = None
    """(rows, classes): probabilities that are learnt instead, such as a teacher's mixed with the
    labels."""
    temperature: float = 1.0
    """At which the teacher said them, and at which they are learnt (Hinton et al. 2015, arXiv
    1503.02531, 2)."""

    def of(self, rows: torch.Tensor) -> Targets:
        """Of these rows alone."""
        return self._each(lambda tensor: tensor[rows])

    def to(self, device: torch.device) -> Targets:
        return self._each(lambda tensor: tensor.to(device))

    def repeated(self, copies: int) -> Targets:
        """All rows so many times, one after the other."""
        return self if copies == 1 else self._each(lambda tensor: torch.cat([tensor] * copies))

    def _each(self, change: Callable[[torch.Tensor], torch.Tensor]) -> Targets:
        soft = None if self.soft is None else change(self.soft)
        return replace(self, classes=change(self.classes), soft=soft)


Loss = Callable[[torch.Tensor, Targets], torch.Tensor]
"""(logits (rows, classes), targets of these rows): the loss summed over the rows."""
