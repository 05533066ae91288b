"""AdamW whose moments take 8 bits a weight (Dettmers et al. 2022, arXiv 2110.02861), by
bitsandbytes: 2 bytes of state a weight where AdamW has 8. Weights of fewer than 4,096 numbers keep
32 bits."""

from __future__ import annotations

from typing import Any

import torch

from agnews_cli.learn.state.snapshot import Kept

_BLOCK, _LEAST = 256, 4096
"""Of their paper, 2.1; and of the library."""


def kept(weight: torch.Tensor) -> dict[str, Kept]:
    shape = tuple(weight.shape)
    found: dict[str, Kept] = {"step": int, "state1": shape, "state2": shape}
    if weight.numel() < _LEAST:
        return found
    blocks = (-(-weight.numel() // _BLOCK),)
    return found | {"qmap1": (256,), "qmap2": (256,), "absmax1": blocks, "absmax2": blocks}


def build(groups: list[dict[str, Any]], lr: float) -> torch.optim.Optimizer:
    from bitsandbytes.optim.adamw import AdamW8bit

    found: torch.optim.Optimizer = AdamW8bit(groups, lr=lr, min_8bit_size=_LEAST)
    return found
