"""Cross-entropy, with label smoothing and class weights whose mean over the training rows is 1."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from agnews_cli.core.run.preset import Training
from agnews_cli.learn.kinds.loss import Loss, Targets
from agnews_cli.learn.rows.weighing import weights_of

EXAMPLE = {"loss": "cross_entropy", "label_smoothing": 0.1}


def begin(training: Training, classes: NDArray[np.int64], count: int) -> Loss:
    found = weights_of(training.class_weights, classes, count)
    weights = None if found is None else torch.from_numpy(found)

    def loss(logits: torch.Tensor, targets: Targets) -> torch.Tensor:
        found = F.cross_entropy(
            logits,
            targets.classes if targets.soft is None else targets.soft,
            weight=None if weights is None else weights.to(logits),
            reduction="sum" if targets.weights is None else "none",
            label_smoothing=training.label_smoothing,
        )
        return found if targets.weights is None else targets.summed(found)

    return loss
