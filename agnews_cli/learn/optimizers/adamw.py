"""AdamW (Loshchilov and Hutter 2019, arXiv 1711.05101), fused where the device has that."""

from __future__ import annotations

from typing import Any

import torch

from agnews_cli.learn.door.xla import is_xla
from agnews_cli.learn.state.snapshot import Kept


def kept(weight: torch.Tensor) -> dict[str, Kept]:
    shape = tuple(weight.shape)
    return {"step": (), "exp_avg": shape, "exp_avg_sq": shape}


def build(groups: list[dict[str, Any]], lr: float) -> torch.optim.Optimizer:
    on_xla = is_xla(groups[0]["params"][0].device)
    return torch.optim.AdamW(groups, lr=lr, fused=not on_xla, capturable=on_xla)
