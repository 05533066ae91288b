"""AdamW (Loshchilov and Hutter 2019, arXiv 1711.05101), fused."""

from __future__ import annotations

from typing import Any

import torch

from agnews_cli.learn.state.snapshot import Kept


def kept(weight: torch.Tensor) -> dict[str, Kept]:
    shape = tuple(weight.shape)
    return {"step": (), "exp_avg": shape, "exp_avg_sq": shape}


def build(groups: list[dict[str, Any]], lr: float) -> torch.optim.Optimizer:
    return torch.optim.AdamW(groups, lr=lr, fused=True)
