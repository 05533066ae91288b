"""Random changes of the training rows, drawn anew for each row and epoch.

The draw is a pure function of seed, epoch and row: neither the order of rows, nor the number of
processes, nor a resume has a say in it, and no generator's state need be saved.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from agnews_cli.learn.batches import Indices

_STREAM = 0xA06


@dataclass(frozen=True, slots=True)
class Masking:
    """Hides a share of the tokens behind the mask token; the first and last of a text stay."""

    share: float
    mask_id: int
    seed: int

    def masked(
        self, batch: dict[str, torch.Tensor], rows: Indices, epoch: int
    ) -> dict[str, torch.Tensor]:
        """The batch of `rows` as this epoch sees it; its tensors are (rows, longest)."""
        if not self.share:
            return batch
        ids = batch["input_ids"].numpy()
        lengths = batch["attention_mask"].sum(1).tolist()
        for at, (row, length) in enumerate(zip(rows, lengths, strict=True)):
            rng = np.random.Generator(np.random.PCG64([self.seed, epoch, int(row), _STREAM]))
            hidden = 1 + np.flatnonzero(rng.random(max(0, length - 2)) < self.share)
            ids[at, hidden] = self.mask_id
        return batch
