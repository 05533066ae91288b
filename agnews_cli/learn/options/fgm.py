"""FGM (Miyato et al. 2017, arXiv 1605.07725): each row passes once more with its word embeddings
moved by `fgm`, in the direction in which its loss rises fastest; both losses count.

r = ε g / ‖g‖₂ (their eq. 5), with g the gradient of a row's loss by its word embeddings, over all
its tokens. Of each row by itself, so neither batches nor processes change it.
"""

from __future__ import annotations

from typing import Any

import torch

from agnews_cli.learn.kinds.option import Again, Option, Start

EXAMPLE = {"fgm": 0.5}


def begin(start: Start) -> Option | None:
    size = start.training.fgm
    if not size:
        return None
    embedded: torch.Tensor | None = None
    move: torch.Tensor | None = None

    def see(module: torch.nn.Module, inputs: Any, output: torch.Tensor) -> torch.Tensor:
        """Keep what the word embeddings gave, so that its gradient is kept; or move it."""
        nonlocal embedded
        if move is not None:
            return output + move
        if torch.is_grad_enabled():
            embedded = output if output.requires_grad else output.requires_grad_()  # frozen words
            embedded.retain_grad()
        return output

    def again_moved(again: Again) -> None:
        nonlocal embedded, move
        assert embedded is not None and embedded.grad is not None
        move, embedded = perturbation(embedded.grad, size), None
        try:
            again()
        finally:
            move = None

    words: Any = start.model
    words.get_input_embeddings().register_forward_hook(see)
    return Option(after_backward=again_moved)


def perturbation(gradient: torch.Tensor, size: float) -> torch.Tensor:
    """(rows, tokens, hidden): along each row's gradient, its norm `size`; 0 where that is 0."""
    direction = gradient.float()  # in half precision the squares of small gradients are zero
    norm = direction.norm(dim=(1, 2), keepdim=True)
    return (direction * (size / norm.clamp_min(torch.finfo(norm.dtype).tiny))).to(gradient.dtype)
