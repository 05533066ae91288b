"""Bottleneck adapters, by the formulas of AdapterHub (Pfeiffer et al. 2020, arXiv 2007.07779; its
`DoubleSeqBnConfig` and `SeqBnConfig`).

A(x) = W_up f(W_down x + b_down) + b_up, from the model's width to one `reduction` times narrower
and back. Weights are drawn from N(0, 0.02²), biases are 0. Dropout of a layer comes after its
adapter here, and before it there; what predicts is the same.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

_DRAWN_STD = 0.02


class Bottleneck(nn.Module):
    """Without the residual, which is the caller's."""

    def __init__(self, hidden: int, width: int, like: torch.Tensor, activation: Any) -> None:
        super().__init__()
        kind: dict[str, Any] = {"device": like.device, "dtype": torch.float32}
        self.down = nn.Linear(hidden, width, **kind)
        self.up = nn.Linear(width, hidden, **kind)
        self.activation = activation
        for layer in (self.down, self.up):
            nn.init.normal_(layer.weight, std=_DRAWN_STD)
            nn.init.zeros_(layer.bias)

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.up(self.activation(self.down(states)))
        return found


def after_layer(module: Any, given: Any, output: torch.Tensor) -> torch.Tensor:
    """h + A(h), of what a layer makes."""
    return output + module.adapter(output)


def in_norm(module: Any, given: Any, output: torch.Tensor) -> torch.Tensor:
    """LN(s + A(LN(s))), of a norm that reads s, the sum of a part's output and its input."""
    found: torch.Tensor = module.forward(given[0] + module.adapter(output))
    return found


def after_block(module: Any, given: Any, output: Any) -> Any:
    """y + A(y), of what a block returns, alone or first of several."""
    if isinstance(output, tuple):
        return (output[0] + module.adapter(output[0]), *output[1:])
    return output + module.adapter(output)


def attach(
    module: nn.Module, hook: Callable[..., Any], hidden: int, width: int, activation: Any
) -> None:
    """The bottleneck is a part of `module`, called `adapter`."""
    like = next(module.parameters())
    module.add_module("adapter", Bottleneck(hidden, width, like, activation))
    module.register_forward_hook(hook)
