"""Adafactor (Shazeer and Stern 2018, arXiv 1804.04235), torch's: of a matrix's second moments the
sums of rows and columns alone are kept, so that there is hardly any state.

Its rate is relative: a step moves a weight by `lr` of the weights' own root mean square (their
algorithm 4), so rates of AdamW are far too low; 1e-3 to 1e-2 are usual."""

from __future__ import annotations

from typing import Any

import torch

from agnews_cli.learn.state.snapshot import Kept


def kept(weight: torch.Tensor) -> dict[str, Kept]:
    shape = tuple(weight.shape)
    if weight.dim() <= 1:
        return {"step": (), "variance": shape}
    rows, columns = (*shape[:-1], 1), (*shape[:-2], 1, shape[-1])
    return {"step": (), "row_var": rows, "col_var": columns}


def build(groups: list[dict[str, Any]], lr: float) -> torch.optim.Optimizer:
    return torch.optim.Adafactor(groups, lr=lr)
