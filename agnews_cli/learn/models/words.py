"""What a model's word embeddings give: seen with its gradient, and moved, for attacks on it.

All norms are of each row by itself, over its tokens, so neither batches nor processes change them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn


class WordEmbeddings:
    """Of one model in training; its embeddings are hooked."""

    def __init__(self, model: nn.Module) -> None:
        self._given: torch.Tensor | None = None
        self._move: Callable[[torch.Tensor], torch.Tensor] | None = None
        words: Any = model
        words.get_input_embeddings().register_forward_hook(self._see)

    def move(self, by: Callable[[torch.Tensor], torch.Tensor] | torch.Tensor | None) -> None:
        """From now on; `by`: (rows, tokens, hidden), or made of what is given; None: not at all."""
        self._move = (lambda given: by) if isinstance(by, torch.Tensor) else by

    def gradient(self) -> torch.Tensor:
        """Of the loss of the last pass, by what it was given, (rows, tokens, hidden) float32."""
        given, self._given = self._given, None
        assert given is not None and given.grad is not None
        return given.grad.float()  # in half precision the squares of small gradients are zero

    def _see(self, module: nn.Module, inputs: Any, output: torch.Tensor) -> torch.Tensor:
        if not torch.is_grad_enabled():
            return output
        if self._move is not None:
            output = output + self._move(output).to(output.dtype)
        if not output.requires_grad:  # frozen words
            output = output.detach().requires_grad_()
        output.retain_grad()
        self._given = output
        return output


def along(gradient: torch.Tensor, size: float) -> torch.Tensor:
    """(rows, tokens, hidden): along each row's gradient, its norm `size`; 0 where that is 0."""
    norm = gradient.norm(dim=(1, 2), keepdim=True)
    return gradient * (size / norm.clamp_min(torch.finfo(norm.dtype).tiny))


def within(moved: torch.Tensor, most: float) -> torch.Tensor:
    """(rows, tokens, hidden): each row's norm at most `most`."""
    norm = moved.norm(dim=(1, 2), keepdim=True)
    return moved * (most / norm.clamp_min(most))


def step_size(most: float, steps: int) -> float:
    """Of an attack in a ball: 2.5 of its radius over all steps (Madry et al. 2018, 5)."""
    return 2.5 * most / steps
