"""Focal loss (Lin et al. 2017, arXiv 1708.02002, eq. 5): rows that are answered well count less,

    − (1 − p_t)^γ log p_t

with γ `focal_gamma`, which is cross-entropy at 0. Of soft targets each class has its share; label
smoothing and class weights are those of cross-entropy.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from agnews_cli.core.run.preset import Training
from agnews_cli.learn.kinds.loss import Loss, Targets
from agnews_cli.learn.rows.weighing import weights_of

EXAMPLE = {"loss": "focal", "focal_gamma": 1.5}


def begin(training: Training, classes: NDArray[np.int64], count: int) -> Loss:
    found = weights_of(training.class_weights, classes, count)
    weights = torch.ones(count) if found is None else torch.from_numpy(found)
    gamma, smoothing = training.focal_gamma, training.label_smoothing

    def loss(logits: torch.Tensor, targets: Targets) -> torch.Tensor:
        share = targets.soft
        if share is None:
            share = F.one_hot(targets.classes, logits.shape[1])
        share = (1 - smoothing) * share.to(logits) + smoothing / logits.shape[1]
        logs = F.log_softmax(logits, -1)
        wrong = (-torch.expm1(logs)).clamp_min(torch.finfo(logs.dtype).tiny)  # 1 - p
        found = -(weights.to(logits) * share * wrong**gamma * logs)
        return found.sum() if targets.weights is None else targets.summed(found.sum(1))

    return loss
