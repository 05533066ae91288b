"""Dropout masks on the CPU from 16 random bits an element.

On the CPU torch draws one float for each element of each mask, on one thread: a third of a
training step of a small encoder. Sixteen bits an element, four to each 64-bit draw, give the same
Bernoulli masks to within 2^-17 of `p`; and where attention has dropout, torch's fused kernel is
left for a slow path, which the attention here replaces. GPUs keep their own kernels.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

ATTENTION = "agnews_cpu"
_LEVELS = 1 << 16


def keep_mask(shape: torch.Size, p: float, dtype: torch.dtype) -> torch.Tensor:
    """A mask of 0 and 1 / (1 - p), drawn from torch's default CPU generator."""
    elements = shape.numel()
    words = torch.empty((elements + 3) // 4, dtype=torch.int64).random_(-(2**63), None)
    dropped = round(p * _LEVELS)
    # NumPy compares 16-bit numbers ten times as fast as torch, which reads bytes faster than bools.
    kept = words.numpy().view(np.int16)[:elements] >= np.int16(dropped - _LEVELS // 2)
    ones = torch.from_numpy(kept.view(np.uint8))
    return ones.to(dtype).mul_(_LEVELS / (_LEVELS - dropped)).view(shape)


class BitDropout(nn.Module):
    """Drop-in for `nn.Dropout` on the CPU."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not self.training or self.p == 0:
            return x
        return x * keep_mask(x.shape, self.p, x.dtype)


def attention(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    **rest: Any,
) -> tuple[torch.Tensor, None]:
    """Attention for transformers' registry. query, key, value: (batch, heads, tokens, size)."""
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    causal = getattr(module, "is_causal", False) and rest.get("is_causal") is not False
    if dropout == 0 or causal or key.shape[1] != query.shape[1]:
        out, _ = sdpa_attention_forward(
            module, query, key, value, attention_mask, scaling=scaling, dropout=dropout, **rest
        )
        return out, None
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    scores = torch.matmul(query * scale, key.transpose(2, 3))
    if attention_mask is not None:
        scores = (
            scores.masked_fill(~attention_mask, torch.finfo(scores.dtype).min)
            if attention_mask.dtype == torch.bool
            else scores + attention_mask
        )
    weights = torch.softmax(scores, dim=-1)
    weights = weights * keep_mask(weights.shape, dropout, weights.dtype)
    return torch.matmul(weights, value).transpose(1, 2).contiguous(), None


def register() -> str:
    """Make the attention known to transformers; returns its name for `attn_implementation`."""
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.masking_utils import sdpa_mask

    AttentionInterface.register(ATTENTION, attention)
    AttentionMaskInterface.register(ATTENTION, sdpa_mask)
    return ATTENTION


def replace_dropout(model: nn.Module) -> None:
    """Swap every `nn.Dropout` in `model` for one that draws its mask from bits."""
    for parent in list(model.modules()):
        for name, child in parent.named_children():
            if type(child) is nn.Dropout:
                setattr(parent, name, BitDropout(child.p))
