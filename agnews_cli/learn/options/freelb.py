"""FreeLB (Zhu et al. 2020, arXiv 1909.11764, algorithm 1): an attack in several steps whose every
step trains: the gradients of all passes count, each for its share.

It begins at a random place, δ₀ = U(−ε, ε) / √N over the N numbers of a row's tokens, and each step
moves along the gradient, and back into the ball of radius ε, which is `freelb`.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F

from agnews_cli.learn.kinds.option import Again, Batch, Option, Start
from agnews_cli.learn.models.words import WordEmbeddings, along, step_size, within
from agnews_cli.learn.rows.batches import Indices

EXAMPLE = {"freelb": 0.5, "attack_steps": 2}


def begin(start: Start) -> Option | None:
    most, steps = start.training.freelb, start.training.attack_steps
    if not most:
        return None
    words, size = WordEmbeddings(start.model), step_size(most, steps)
    move = mask = torch.zeros(0)

    def at_random(given: torch.Tensor) -> torch.Tensor:
        nonlocal move
        virtual = (
            given.shape[1] - mask.shape[1]
        )  # tokens of a method, which stand before the text's end
        there = F.pad(mask.to(given.device), (virtual, 0), value=1)
        there = there.repeat(len(given) // len(mask), 1)[:, :, None]
        numbers = there.sum((1, 2), keepdim=True) * given.shape[2]
        move = torch.empty_like(given, dtype=torch.float32).uniform_(-most, most)
        move = move * there / numbers.sqrt()
        return move

    def begun(batch: Batch, rows: Indices, epoch: int) -> Batch:
        nonlocal mask
        mask = batch["attention_mask"]
        words.move(at_random)
        return batch

    def attacked(again: Again) -> None:
        nonlocal move
        try:
            for _ in range(steps - 1):
                move = within(move + along(words.gradient(), size), most)
                words.move(move)
                again()
        finally:
            words.move(None)

    return Option(batch=begun, pass_weight=1 / steps, after_backward=attacked)
