"""LAMB (You et al. 2020, arXiv 1904.00962, algorithm 2): Adam's step, scaled layer by layer to the
norm of the weights, for large batches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from agnews_cli.learn.state.snapshot import Kept

_BETAS = (0.9, 0.999)
_EPS = 1e-6


def kept(weight: torch.Tensor) -> dict[str, Kept]:
    shape = tuple(weight.shape)
    return {"step": (), "exp_avg": shape, "exp_avg_sq": shape}


def build(groups: list[dict[str, Any]], lr: float) -> torch.optim.Optimizer:
    return Lamb(groups, lr)


class Lamb(torch.optim.Optimizer):
    """A layer is a parameter; their scaling function is the identity."""

    def __init__(self, groups: list[dict[str, Any]], lr: float) -> None:
        super().__init__(groups, {"lr": lr, "weight_decay": 0.0})

    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        with torch.no_grad():
            for group in self.param_groups:
                for weight in group["params"]:
                    if weight.grad is not None:
                        update = self._update(weight, group["weight_decay"])
                        weight.sub_(update * (trust_ratio(weight, update) * group["lr"]))

    def _update(self, weight: torch.Tensor, decay: float) -> torch.Tensor:
        """r + λx: Adam's direction, unbiased, and the decay."""
        state = self.state[weight]
        if not state:
            state["step"] = torch.tensor(0.0)
            state["exp_avg"] = torch.zeros_like(weight)
            state["exp_avg_sq"] = torch.zeros_like(weight)
        state["step"] += 1
        first, second = _BETAS
        state["exp_avg"].lerp_(weight.grad, 1 - first)
        state["exp_avg_sq"].mul_(second).addcmul_(weight.grad, weight.grad, value=1 - second)
        step = float(state["step"])
        mean = state["exp_avg"] / (1 - first**step)
        spread = (state["exp_avg_sq"] / (1 - second**step)).sqrt_().add_(_EPS)
        return mean / spread + decay * weight


def trust_ratio(weight: torch.Tensor, update: torch.Tensor) -> torch.Tensor:
    """‖x‖ / ‖r + λx‖; 1 where either is 0."""
    of_weight, of_update = weight.norm(), update.norm()
    there = (of_weight > 0) & (of_update > 0)
    return torch.where(there, of_weight / of_update, torch.ones_like(of_weight))
