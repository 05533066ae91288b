"""SAM (Foret et al. 2021, arXiv 2010.01412): the gradient that a step takes is that of weights
moved by `sam` to where the loss is higher: ε(w) = ρ g / ‖g‖₂ (their eq. 2, p = 2), of all weights.

A gradient scaler's factor is in g and its norm alike; where g is not finite, so is the second one
not, and the scaler leaves the step out.
"""

from __future__ import annotations

import torch

from agnews_cli.learn.kinds.option import Gradients, Option, Start

EXAMPLE = {"sam": 0.05}


def begin(start: Start) -> Option | None:
    size = start.training.sam
    if not size:
        return None
    weights = [weight for weight in start.model.parameters() if weight.requires_grad]

    def of_moved_weights(gradients: Gradients) -> torch.Tensor:
        loss = gradients()
        there = [weight for weight in weights if weight.grad is not None]
        kept = [weight.detach().clone() for weight in there]
        try:
            with torch.no_grad():
                for weight, move in zip(there, moves(there, size), strict=True):
                    weight.add_(move)
                    weight.grad = None
            gradients()
        finally:
            with torch.no_grad():
                for weight, before in zip(there, kept, strict=True):
                    weight.copy_(before)
        return loss

    return Option(gradients=of_moved_weights)


def moves(weights: list[torch.nn.Parameter], size: float) -> list[torch.Tensor]:
    """Along the gradients; the norm of all together is `size`."""
    norm = torch.nn.utils.get_total_norm([w.grad for w in weights if w.grad is not None])
    scale = size / norm.clamp_min(torch.finfo(norm.dtype).tiny)
    return [weight.grad * scale for weight in weights if weight.grad is not None]
