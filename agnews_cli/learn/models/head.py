"""The last layer of a classifier, which makes its logits: linear, of what is pooled of a text."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn


def last_layer(model: nn.Module) -> nn.Linear | None:
    """The last linear layer that is trained; None where there is none."""
    trained = [m for m in model.modules() if isinstance(m, nn.Linear) and m.weight.requires_grad]
    return trained[-1] if trained else None


class Pooled:
    """What the last layer of a model in training is given. Raises ValueError where it has none."""

    def __init__(self, model: nn.Module) -> None:
        layer = last_layer(model)
        if layer is None:
            raise ValueError("no linear layer of it is trained")
        self.layer = layer
        self._given: torch.Tensor | None = None
        layer.register_forward_pre_hook(self._see)

    def _see(self, module: nn.Module, inputs: Any) -> None:
        if torch.is_grad_enabled():
            self._given = inputs[0]

    def states(self, mask: torch.Tensor) -> torch.Tensor:
        """Of the last pass, (rows, hidden). `mask`: which tokens of its rows are text, (rows,
        tokens); several copies of the rows may have passed.

        Where each token has logits, as in a decoder, a text's are those of its last one.
        """
        given, self._given = self._given, None
        assert given is not None
        if given.dim() == 2:
            return given
        at = torch.arange(mask.shape[1], device=mask.device)
        last = (mask * at).argmax(1).repeat(len(given) // len(mask)).to(given.device)
        last = last + given.shape[1] - mask.shape[1]  # a method's virtual tokens come first
        return given[torch.arange(len(given), device=given.device), last]
