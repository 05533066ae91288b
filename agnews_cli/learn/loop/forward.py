"""Forward passes: batches on their way to the device, and class probabilities of many rows."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from torch import nn

from agnews_cli.learn.rows.batches import Indices, by_length
from agnews_cli.learn.rows.tokens import Tokens


def predict(
    model: nn.Module,
    tokens: Tokens,
    pad_id: int,
    accelerator: Accelerator,
    batch_tokens: int,
    *,
    autocast: bool = True,
    check: Callable[[], None] = lambda: None,
    told: Callable[[int], None] = lambda rows: None,
) -> np.ndarray:
    """Class probabilities, (rows, classes) float32, in the rows' order; all processes return all.

    `told` hears how many rows this process has done.

    With `autocast` off the pass is fp32 and does not depend on the training precision: anyone who
    loads the delivered files gets the same numbers.
    """
    lengths = tokens.lengths
    model.eval()
    mine: list[tuple[Indices, np.ndarray]] = []
    done = 0
    batches = by_length(lengths, batch_tokens=max(batch_tokens, 1024))
    with torch.inference_mode():
        for rows in batches[accelerator.process_index :: accelerator.num_processes]:
            check()
            with accelerator.autocast() if autocast else nullcontext():
                batch = on_device(tokens.batch(rows, pad_id), accelerator.device)
                del batch["labels"]
                logits = model(**batch).logits.float()
            mine.append((rows, torch.softmax(logits, -1).cpu().numpy()))
            done += len(rows)
            told(done)
    if accelerator.num_processes > 1:
        gathered: list[Any] = [None] * accelerator.num_processes
        torch.distributed.all_gather_object(gathered, mine)
        mine = [pair for share in gathered for pair in share]
    out = np.empty((len(lengths), mine[0][1].shape[1]), dtype=np.float32)
    for rows, probabilities in mine:
        out[rows] = probabilities
    return out


def on_device(batch: dict[str, torch.Tensor], device: torch.device) -> dict[str, torch.Tensor]:
    if device.type != "cuda":
        return {name: tensor.to(device) for name, tensor in batch.items()}
    return {n: t.pin_memory().to(device, non_blocking=True) for n, t in batch.items()}
