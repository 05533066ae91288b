"""Mixup of pooled states (Zhang et al. 2018, arXiv 1710.09412; of sentences' states, Guo et al.
2019, arXiv 1905.08941): each row is mixed with another of its batch, λ h + (1 − λ) h′, and learns
both their targets in the same shares. λ is drawn from Beta(α, α), α being `mixup`.

The states are those that the last layer reads. It is linear, so mixing its logits is mixing them,
whatever the model. The loss is mixed and not the targets, as in the authors' code: of cross-entropy
that is the same, and it goes with every loss. Draws are a pure function of seed, epoch and rows."""

from __future__ import annotations

import numpy as np
import torch

from agnews_cli.learn.kinds.loss import Loss, Targets
from agnews_cli.learn.kinds.option import Batch, Option, Start
from agnews_cli.learn.rows.batches import Indices

EXAMPLE = {"mixup": 0.4}
_STREAM = 0x3171


def begin(start: Start) -> Option | None:
    alpha = start.training.mixup
    if not alpha:
        return None
    share, partners = 1.0, torch.zeros(0, dtype=torch.int64)

    def drawn(batch: Batch, rows: Indices, epoch: int) -> Batch:
        nonlocal share, partners
        rng = np.random.Generator(np.random.PCG64([start.seed, epoch, int(rows[0]), _STREAM]))
        share = float(rng.beta(alpha, alpha))
        partners = torch.from_numpy(rng.permutation(len(rows)))
        return batch

    def criterion(loss: Loss) -> Loss:
        def mixed(logits: torch.Tensor, targets: Targets) -> torch.Tensor:
            copies = len(logits) // len(partners)
            other = torch.cat([partners + copy * len(partners) for copy in range(copies)])
            other = other.to(logits.device)
            both = share * logits + (1 - share) * logits[other]
            return share * loss(both, targets) + (1 - share) * loss(both, targets.of(other))

        return mixed

    return Option(batch=drawn, criterion=criterion)
