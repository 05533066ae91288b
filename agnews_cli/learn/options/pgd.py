"""PGD (Madry et al. 2018, arXiv 1706.06083): FGM's attack in several steps. Each moves a row's word
embeddings along the gradient, and back into the ball of radius `pgd`: their projected gradient
descent on the negative loss (2.1), in the 2-norm and along the gradient itself.

The last one counts beside the row as it is. The gradients that the steps between leave in the
weights are thrown away.
"""

from __future__ import annotations

import torch

from agnews_cli.learn.kinds.option import Again, Option, Start
from agnews_cli.learn.models.words import WordEmbeddings, along, step_size, within

EXAMPLE = {"pgd": 0.5, "attack_steps": 2}


def begin(start: Start) -> Option | None:
    most, steps = start.training.pgd, start.training.attack_steps
    if not most:
        return None
    words, size = WordEmbeddings(start.model), step_size(most, steps)

    def attacked(again: Again) -> None:
        move = within(along(words.gradient(), size), most)
        kept = {weight: weight.grad for weight in start.model.parameters()}
        try:
            for _ in range(steps - 1):
                _forget(start.model)
                words.move(move)
                again()
                move = within(move + along(words.gradient(), size), most)
            for weight, gradient in kept.items():
                weight.grad = gradient
            words.move(move)
            again()
        finally:
            words.move(None)

    return Option(after_backward=attacked)


def _forget(model: torch.nn.Module) -> None:
    for weight in model.parameters():
        weight.grad = None
