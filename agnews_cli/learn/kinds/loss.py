"""What a loss is: a module of `learn.losses` with `begin(training, classes, count) -> Loss`.

`classes`: of the training rows, (rows,); `count`: how many classes there are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch


@dataclass(frozen=True, slots=True)
class Targets:
    """What a batch is to learn."""

    classes: torch.Tensor
    """(rows,) int64: the labels."""
    soft: torch.Tensor | None = None
    """(rows, classes): probabilities that are learnt instead, such as a teacher's mixed with the
    labels."""


Loss = Callable[[torch.Tensor, Targets], torch.Tensor]
"""(logits (rows, classes), targets of these rows): the loss summed over the rows."""
