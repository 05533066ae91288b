"""R-Drop (Liang et al. 2021, arXiv 2106.14448): a row passes twice with other dropout masks, and
how far the two answers lie apart is added to the loss; half of its eq. 4."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from agnews_cli.learn.kinds.loss import Targets
from agnews_cli.learn.kinds.option import Option, Start

EXAMPLE = {"r_drop": 2.0}


def begin(start: Start) -> Option | None:
    weight = start.training.r_drop
    if not weight:
        return None

    def loss(entropy: torch.Tensor, logits: torch.Tensor, targets: Targets) -> torch.Tensor:
        one, two = F.log_softmax(logits, -1).chunk(2)
        both_ways = ((one.exp() - two.exp()) * (one - two)).sum(1)  # KL(1 ‖ 2) + KL(2 ‖ 1)
        weights = targets.weights
        apart = both_ways.sum() if weights is None else (both_ways * weights.chunk(2)[0]).sum()
        return 0.5 * (entropy + weight * 0.5 * apart)

    return Option(copies=2, loss=loss)
