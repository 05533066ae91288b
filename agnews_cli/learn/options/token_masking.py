"""A share of each text's tokens hidden behind the mask token; the first and last of a text stay.

The draw is a pure function of seed, epoch and row: neither the order of rows, nor the number of
processes, nor a resume has a say in it, and no generator's state need be saved.
"""

from __future__ import annotations

import numpy as np

from agnews_cli.learn.kinds.option import Batch, Option, Start
from agnews_cli.learn.rows.batches import Indices

EXAMPLE = {"token_masking": 0.2}
_STREAM = 0xA06


def begin(start: Start) -> Option | None:
    share = start.training.token_masking
    if not share:
        return None

    def masked(batch: Batch, rows: Indices, epoch: int) -> Batch:
        ids = batch["input_ids"].numpy()
        lengths = batch["attention_mask"].sum(1).tolist()
        for at, (row, length) in enumerate(zip(rows, lengths, strict=True)):
            rng = np.random.Generator(np.random.PCG64([start.seed, epoch, int(row), _STREAM]))
            hidden = 1 + np.flatnonzero(rng.random(max(0, length - 2)) < share)
            ids[at, hidden] = start.mask_id
        return batch

    return Option(batch=masked)
