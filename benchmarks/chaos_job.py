"""A tiny job on the real loop, saver and store, for ckpt-chaos to kill at every file event.

    pip install ckpt-chaos
    ckpt-chaos run --max-points 200 --step-regex "resumed from step (\\d+)" \\
        --result-file "{out}/final.bin" --fail-on HARD_FAIL,SILENT_DIVERGENCE,LOST_WORK \\
        -- python benchmarks/chaos_job.py {out}
    ckpt-chaos bench hf_trainer --jobs 1    # the same package's own job on the transformers Trainer

It saves at steps 10 and 20 and at the end, in the saver's own thread; the same command resumes.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from accelerate import Accelerator
from torch import nn

from agnews_cli.core.run.preset import Training
from agnews_cli.learn.door.events import EventLog
from agnews_cli.learn.loop.position import StepTrace
from agnews_cli.learn.loop.train import FineTuning
from agnews_cli.learn.rows.tokens import Tokens
from agnews_cli.learn.state.saving import Saver
from agnews_cli.learn.state.snapshot import on_host, optimizer_tensors, weights
from agnews_cli.store.run.checkpoints import Checkpoints

SAVED_AT = (10, 20)


class Tiny(nn.Module):
    """A mean of embeddings, dropout and a line."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.head, self.drop = nn.Embedding(60, 16), nn.Linear(16, 3), nn.Dropout(0.2)

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> SimpleNamespace:
        mask = attention_mask.unsqueeze(-1).float()
        mean = (self.words(input_ids) * mask).sum(1) / mask.sum(1)
        return SimpleNamespace(logits=self.head(self.drop(mean)))


class Never:
    """Nobody asks for a stop."""

    is_set, left_s, reserve_s = False, float("inf"), 0.0

    def check(self) -> None: ...


def tokens(rows: int, seed: int) -> Tokens:
    rng = np.random.default_rng(seed)
    lengths = rng.integers(3, 14, rows)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    ids = rng.integers(3, 60, offsets[-1]).astype(np.int32)
    return Tokens(ids, offsets, rng.integers(0, 3, rows))


def main(folder: Path) -> None:
    torch.manual_seed(0)
    torch.set_num_threads(1)
    log = EventLog(folder / "events.jsonl", started_monotonic_s=0, writes=False)
    saver = Saver(
        Checkpoints(folder / "checkpoints"), run="tiny-0123456789", candidate="tiny", token=1,
        writer="abcd", fingerprint={}, lifetime_s=1e9, every_s=1e9, log=log,
    )  # fmt: skip

    def see(step: StepTrace) -> None:
        saver.finish()  # so that every run has the same file events in the same order
        saver._every_s = 1e-9 if step.step in SAVED_AT else 1e9

    tuning = FineTuning(
        name="tiny", model=Tiny(), accelerator=Accelerator(cpu=True), precision="fp32",
        training=Training(lr=1e-2, epochs=3, batch_tokens=128, evaluations_per_epoch=2),
        tokens=tokens(150, 1), validation=tokens(40, 2), pad_id=0, mask_id=1, classes=3, seed=0,
        log=log, stop=Never(), saver=saver, trace=see,
    )  # fmt: skip
    tuning.resume()
    print(f"resumed from step {tuning.position.step}", flush=True)
    tuning.run(end_monotonic_s=None)
    digest = hashlib.sha256(repr(tuning.position).encode())
    parts = weights(tuning.bare_model), optimizer_tensors(tuning.bare_model, tuning.optimizer)
    for part in parts:
        for name, tensor in sorted(on_host(part).items()):
            digest.update(name.encode() + tensor.numpy().tobytes())
    (folder / "final.bin").write_bytes(digest.digest())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
