"""What a step minimises, summed over its rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from agnews_cli.core.preset import Training
from agnews_cli.learn.weighing import weights_of


@dataclass(frozen=True, slots=True)
class Objective:
    """Cross-entropy; with R-Drop, half of Liang et al. 2021, eq. 4, whose two passes with other
    dropout masks are one pass over the rows twice (`repeated`)."""

    label_smoothing: float = 0.0
    r_drop: float = 0.0
    class_weights: torch.Tensor | None = None
    """(classes,); their mean over the training rows is 1."""

    @classmethod
    def of(cls, training: Training, classes: NDArray[np.int64], count: int) -> Objective:
        """`classes`: of the training rows; `count`: how many classes there are."""
        found = weights_of(training.class_weights, classes, count)
        weights = None if found is None else torch.from_numpy(found).float()
        return cls(training.label_smoothing, training.r_drop, weights)

    def repeated(self, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """The batch that is to pass: each row once, or twice."""
        if not self.r_drop:
            return batch
        return {name: torch.cat([tensor, tensor]) for name, tensor in batch.items()}

    def loss(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """logits: (rows, classes) and labels of a batch that is `repeated`.

        labels: (rows,) classes, or (rows, classes) probabilities.
        """
        weights = self.class_weights
        entropy = F.cross_entropy(
            logits,
            labels,
            weight=None if weights is None else weights.to(logits.device),
            reduction="sum",
            label_smoothing=self.label_smoothing,
        )
        if not self.r_drop:
            return entropy
        one, two = F.log_softmax(logits, -1).chunk(2)
        apart = F.kl_div(one, two, reduction="sum", log_target=True)
        apart = apart + F.kl_div(two, one, reduction="sum", log_target=True)
        return 0.5 * (entropy + self.r_drop * 0.5 * apart)
