"""AdamW (Loshchilov and Hutter 2019), fused."""

from __future__ import annotations

from typing import Any

import torch

STATE = {"step": "scalar", "exp_avg": "parameter", "exp_avg_sq": "parameter"}


def build(groups: list[dict[str, Any]], lr: float) -> torch.optim.Optimizer:
    return torch.optim.AdamW(groups, lr=lr, fused=True)
