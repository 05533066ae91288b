"""Multi-sample dropout (Inoue 2019, arXiv 1905.09788): what is pooled of a text goes through the
last layer several times, each time behind another dropout mask; the mean of the losses counts.

The masks come on top of the model's own dropout. Only the last layer is passed again.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F

from agnews_cli.learn.kinds.loss import Loss, Targets
from agnews_cli.learn.kinds.option import Batch, Option, Start
from agnews_cli.learn.models.head import Pooled
from agnews_cli.learn.rows.batches import Indices

EXAMPLE = {"multi_sample_dropout": 3}


def begin(start: Start) -> Option | None:
    samples, share = start.training.multi_sample_dropout, start.training.sample_dropout
    if not samples:
        return None
    pooled = Pooled(start.model)
    mask = torch.zeros(0)

    def seen(batch: Batch, rows: Indices, epoch: int) -> Batch:
        nonlocal mask
        mask = batch["attention_mask"]
        return batch

    def criterion(loss: Loss) -> Loss:
        def mean(logits: torch.Tensor, targets: Targets) -> torch.Tensor:
            states = pooled.states(mask)
            each = [
                loss(pooled.layer(F.dropout(states, share)).float(), targets)
                for _ in range(samples)
            ]
            return torch.stack(each).mean()

        return mean

    return Option(batch=seen, criterion=criterion)
