"""Supervised contrastive loss beside the other one (Gunel et al. 2021, arXiv 2011.01403, eq. 1-3):

    (1 − λ) · loss + λ · SCL

SCL draws the pooled states of a batch's rows of one class together, each state at length 1, and
those of other classes apart; λ is `contrastive`. It is an option and no loss of its own, for it
goes with every loss and reads states that logits do not tell. Of the rows of one pass: micro-
batches and processes have each their own."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from agnews_cli.learn.kinds.loss import Loss, Targets
from agnews_cli.learn.kinds.option import Batch, Option, Start
from agnews_cli.learn.models.head import Pooled
from agnews_cli.learn.rows.batches import Indices

EXAMPLE = {"contrastive": 0.5}


def begin(start: Start) -> Option | None:
    weight, temperature = start.training.contrastive, start.training.contrastive_temperature
    if not weight:
        return None
    pooled = Pooled(start.model)
    mask = torch.zeros(0)

    def seen(batch: Batch, rows: Indices, epoch: int) -> Batch:
        nonlocal mask
        mask = batch["attention_mask"]
        return batch

    def criterion(loss: Loss) -> Loss:
        def both(logits: torch.Tensor, targets: Targets) -> torch.Tensor:
            states = pooled.states(mask)
            apart = contrast(states.float(), targets.classes, temperature)
            return (1 - weight) * loss(logits, targets) + weight * targets.summed(apart)

        return both

    return Option(batch=seen, criterion=criterion)


def contrast(states: torch.Tensor, classes: torch.Tensor, temperature: float) -> torch.Tensor:
    """SCL (their eq. 2) of each row, (rows,). states: (rows, hidden); classes: (rows,), -1 where a
    row has none: such rows, and those that are alone of their class, have none."""
    length_1 = F.normalize(states, dim=1)
    alike = length_1 @ length_1.T / temperature
    itself = torch.eye(len(states), dtype=torch.bool, device=states.device)
    others = alike.masked_fill(itself, -torch.inf)
    logs = alike - torch.logsumexp(others, 1, keepdim=True)
    same = (classes[:, None] == classes[None, :]) & ~itself & (classes >= 0)[:, None]
    friends = same.sum(1)
    return -(logs.masked_fill(~same, 0.0).sum(1) / friends.clamp_min(1))
