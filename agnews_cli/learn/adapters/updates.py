"""How many directions the updates of a low rank use."""

from __future__ import annotations

from typing import Any

import torch


def effective_rank(model: Any) -> float | None:
    """The effective rank of the updates B A, the mean over the layers that have one.

    exp of the entropy of the singular values, each as a share of their sum (Roy and Vetterli 2007,
    "The effective rank"). Those of B A, of the shapes (out, r) and (r, in), are those of R_B R_A^T,
    of the shape (r, r), by a QR decomposition of both. An update that is still zero has none.
    """
    from peft.tuners.lora import LoraLayer

    found = [
        rank
        for layer in model.modules()
        if isinstance(layer, LoraLayer)
        for name in layer.lora_A
        if (rank := _rank(layer.lora_A[name].weight, layer.lora_B[name].weight)) is not None
    ]
    return sum(found) / len(found) if found else None


def _rank(down: torch.Tensor, up: torch.Tensor) -> float | None:
    a, b = (part.detach().float().cpu() for part in (down, up))
    values = torch.linalg.svdvals(torch.linalg.qr(b).R @ torch.linalg.qr(a.T).R.T)
    total = float(values.sum())
    if not total > 0:
        return None
    shares = values[values > 0] / total
    return float(torch.exp(-(shares * shares.log()).sum()))
