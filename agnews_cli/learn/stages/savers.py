"""Who saves a piece of work of one job: its checkpoints lie in a folder of the run, by name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from accelerate import Accelerator

from agnews_cli.core.run.job import Job
from agnews_cli.learn.door.events import EventLog
from agnews_cli.learn.state.saving import Saver
from agnews_cli.store.run import leases
from agnews_cli.store.run.checkpoints import Checkpoints
from agnews_cli.store.run.runs import RunFolder
from agnews_cli.store.transfer.receipts import sending_s


def of(
    job: Job,
    name: str,
    fingerprint: Mapping[str, str],
    accelerator: Accelerator,
    log: EventLog,
    *,
    every_s: float | None,
) -> Saver:
    """`name`: of a fine-tuning, or of what else goes on in the middle."""
    folder = Path(job.folder)
    return Saver(
        Checkpoints(folder / "checkpoints" / name, owner=(job.run, name)),
        run=job.run,
        candidate=name,
        token=job.token,
        writer=job.writer,
        fingerprint=fingerprint,
        lifetime_s=job.lifetime_s,
        every_s=every_s,
        log=log,
        newest_token=lambda: leases.newest_token(folder),
        sending_s=lambda: _sending_s(folder, accelerator),
    )


def _sending_s(folder: Path, accelerator: Accelerator) -> float:
    """What sending a checkpoint takes from the work, in seconds: its share of the cores."""
    if accelerator.device.type != "cpu":  # it needs no accelerator
        return 0.0
    cores = accelerator.num_processes * torch.get_num_threads()
    return sending_s(RunFolder(folder)) / cores
