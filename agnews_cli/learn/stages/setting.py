"""What every stage of one job is given: the order, the machine, the clock, and who is told."""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path

import torch
from accelerate import Accelerator, PartialState
from accelerate.utils import broadcast_object_list, parse_flag_from_env

from agnews_cli.core.run.job import Job, TrainJob
from agnews_cli.core.run.preset import Precision
from agnews_cli.learn.door.budget import OutOfTime, TimeBudget
from agnews_cli.learn.door.events import EventLog, StopFlag
from agnews_cli.learn.door.notes import Notes
from agnews_cli.learn.models import kernels, precision
from agnews_cli.store.disk.files import write_text_atomically

_LIBRARIES = ("torch", "transformers", "accelerate", "peft", "scikit-learn", "numpy", "agnews-cli")


@dataclass(slots=True)
class Setting:
    """Of one job in one session."""

    job: TrainJob
    accelerator: Accelerator
    precision: str
    log: EventLog
    stop: StopFlag
    told: Notes = field(init=False)
    budget: TimeBudget = field(init=False)

    def __post_init__(self) -> None:
        self.told, self.budget = Notes(self.log), TimeBudget.of(self.job, self.stop)

    @property
    def is_main(self) -> bool:
        return bool(self.accelerator.is_main_process)

    @property
    def labels(self) -> Sequence[str]:
        return self.job.dataset.labels

    @property
    def folder(self) -> Path:
        """The run's."""
        return Path(self.job.folder)

    def agreed(self, mine: float) -> float:
        """The main process's figure: each measures its own, and all must go the same way."""
        figures = [mine]
        broadcast_object_list(figures)
        return figures[0]

    def require_time(self, is_late: bool) -> None:
        """Raise OutOfTime on all processes where it is late on the main one."""
        if self.agreed(is_late):
            raise OutOfTime

    def wait_for_all(self) -> None:
        if torch.distributed.is_initialized():
            self.accelerator.wait_for_everyone()


def begin(job: TrainJob, log: EventLog, stop: StopFlag) -> Setting:
    """The job's, on the machine as it is."""
    training = job.preset.training
    accelerator, chosen = take_machine(
        job, log, wanted=training.precision, deterministic=training.deterministic
    )
    return Setting(job, accelerator, chosen, log, stop)


def take_machine(
    job: Job, log: EventLog, *, wanted: Precision, deterministic: bool = False
) -> tuple[Accelerator, str]:
    """(the machine as it is, the precision to compute in); `environment.json` says what it is."""
    # Whoever asks first decides how the processes find each other: without this word, not at all.
    state = PartialState(cpu=parse_flag_from_env("ACCELERATE_USE_CPU"))
    chosen, reason = precision.resolve(wanted, state.device)
    kernels.settle(deterministic=deterministic)
    accelerator = Accelerator(mixed_precision="no" if chosen == "fp32" else chosen)
    log("note", text=f"computing in {chosen}: {reason}")
    if accelerator.is_main_process:
        _write_environment(Path(job.folder), accelerator, chosen)
    return accelerator, chosen


def _write_environment(folder: Path, accelerator: Accelerator, chosen: str) -> None:
    facts: dict[str, object] = {
        "python": platform.python_version(),
        "system": platform.platform(),
        "device": accelerator.device.type,
        "processes": accelerator.num_processes,
        "precision": chosen,
        "threads": torch.get_num_threads(),
    }
    if accelerator.device.type == "cuda":
        facts["accelerator"] = torch.cuda.get_device_name()
    for name in _LIBRARIES:
        try:
            facts[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            facts[name] = None
    write_text_atomically(folder / "environment.json", json.dumps(facts, indent=2))
