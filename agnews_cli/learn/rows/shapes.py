"""Few shapes of passes, for a device whose programs are compiled anew for each of them (XLA).

A pass has one of a handful of lengths, and of each length always as many texts: those that hold
`tokens` together. What is missing is filled up with texts of one token that count for nothing.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass

import torch

from agnews_cli.learn.rows.batches import Indices

LENGTHS = (16, 32, 48, 64, 96, 128, 192, 256, 384, 512)
_STEP = 512
"""Longer ones are multiples of it."""


@dataclass(frozen=True, slots=True)
class Shapes:
    """Of passes that hold `tokens` tokens, padding included."""

    tokens: int
    longest: int
    """No text has more tokens; so many a model may not read beyond."""

    def length(self, tokens: int) -> int:
        """What a text of so many is padded to."""
        at = bisect_left(LENGTHS, tokens)
        found = LENGTHS[at] if at < len(LENGTHS) else -(-tokens // _STEP) * _STEP
        return min(found, max(self.longest, tokens))

    def texts(self, length: int) -> int:
        """How many texts a pass of this length has."""
        return max(1, self.tokens // length)

    def cut(self, rows: Indices, lengths: Indices) -> list[Indices]:
        """`rows`, sorted by length, as consecutive passes; the longest of each decides its length.

        Cut from the end, so that what is left over is the shortest.
        """
        found, end = [], len(rows)
        while end:
            most = self.texts(self.length(int(lengths[rows[:end]].max())))
            found.append(rows[max(0, end - most) : end])
            end -= len(found[-1])
        return found[::-1]

    def padded(self, batch: dict[str, torch.Tensor], pad_id: int) -> dict[str, torch.Tensor]:
        """input_ids and attention_mask, (texts, tokens), in the shape that their longest has."""
        texts, tokens = batch["input_ids"].shape
        length = self.length(tokens)
        more = self.texts(length) - texts
        found = {
            name: torch.nn.functional.pad(
                tensor, (0, length - tokens, 0, more), value=pad_id if name == "input_ids" else 0
            )
            for name, tensor in batch.items()
        }
        found["attention_mask"][texts:, 0] = 1  # attending to nothing has no softmax
        return found
