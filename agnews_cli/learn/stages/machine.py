"""The machine as it is, for a job that computes with torch."""

from __future__ import annotations

from pathlib import Path

import torch
from accelerate import Accelerator, PartialState
from accelerate.utils import parse_flag_from_env

from agnews_cli.core.run.job import Job
from agnews_cli.core.run.preset import Precision
from agnews_cli.learn.door import environment
from agnews_cli.learn.door.events import EventLog
from agnews_cli.learn.models import kernels, precision


def named(processes: Accelerator) -> str | None:
    """What computes; None: several processes together."""
    if processes.num_processes > 1:
        return None
    kind = processes.device.type
    if kind == "xla":
        return "TPU"
    return str(torch.cuda.get_device_name()) if kind == "cuda" else environment.cpu()


def take(
    job: Job, log: EventLog, *, wanted: Precision, deterministic: bool = False
) -> tuple[Accelerator, str]:
    """(its processes, the precision to compute in); `environment.json` says what it is."""
    # Whoever asks first decides how the processes find each other: without this word, not at all.
    state = PartialState(cpu=parse_flag_from_env("ACCELERATE_USE_CPU"))
    chosen, reason = precision.resolve(wanted, state.device)
    kernels.settle(deterministic=deterministic)
    accelerator = Accelerator(mixed_precision="no" if chosen == "fp32" else chosen)
    log("note", text=f"computing in {chosen}: {reason}")
    if accelerator.is_main_process:
        facts: dict[str, object] = {
            "device": accelerator.device.type,
            "processes": accelerator.num_processes,
            "precision": chosen,
            "threads": torch.get_num_threads(),
        }
        if accelerator.device.type == "cuda":
            facts["accelerator"] = torch.cuda.get_device_name()
        environment.write(Path(job.folder), facts)
    return accelerator, chosen
