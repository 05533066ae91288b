"""What every stage of one job is given: the order, the machine, the clock, and who is told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from agnews_cli.core.run.job import TrainJob
from agnews_cli.learn.door import environment
from agnews_cli.learn.door.budget import OutOfTime, TimeBudget
from agnews_cli.learn.door.events import EventLog, StopFlag
from agnews_cli.learn.door.notes import Notes

if TYPE_CHECKING:
    from accelerate import Accelerator

T = TypeVar("T")


@dataclass(slots=True)
class Setting:
    """Of one job in one session."""

    job: TrainJob
    processes: Accelerator | None
    """Those that do it together; None: this one alone, without torch."""
    precision: str
    log: EventLog
    stop: StopFlag
    told: Notes = field(init=False)
    budget: TimeBudget = field(init=False)

    def __post_init__(self) -> None:
        self.told, self.budget = Notes(self.log), TimeBudget.of(self.job, self.stop)

    @property
    def accelerator(self) -> Accelerator:
        """For what computes with torch."""
        assert self.processes is not None, "a light job has none"
        return self.processes

    @property
    def machine(self) -> str | None:
        """What computes; None: several processes together."""
        if self.processes is None:
            return environment.cpu()
        from agnews_cli.learn.stages import machine

        return machine.named(self.processes)

    @property
    def is_main(self) -> bool:
        return self.processes is None or bool(self.processes.is_main_process)

    @property
    def labels(self) -> Sequence[str]:
        return self.job.dataset.labels

    @property
    def folder(self) -> Path:
        """The run's."""
        return Path(self.job.folder)

    def agreed(self, mine: T) -> T:
        """The main process's: each measures or chooses for itself, and all must go the same way."""
        if self.processes is None:
            return mine
        from accelerate.utils import broadcast_object_list

        each = [mine]
        broadcast_object_list(each)
        return each[0]

    def require_time(self, is_late: bool) -> None:
        """Raise OutOfTime on all processes where it is late on the main one."""
        if self.agreed(is_late):
            raise OutOfTime

    def wait_for_all(self) -> None:
        if self.processes is not None and self.processes.num_processes > 1:
            self.processes.wait_for_everyone()


def begin(job: TrainJob, log: EventLog, stop: StopFlag) -> Setting:
    """The job's, on the machine as it is."""
    if job.is_light:
        environment.write(Path(job.folder), {"device": "cpu", "processes": 1, "precision": "fp64"})
        return Setting(job, None, "fp64", log, stop)
    from agnews_cli.learn.stages import machine

    training = job.preset.training
    accelerator, chosen = machine.take(
        job, log, wanted=training.precision, deterministic=training.deterministic
    )
    return Setting(job, accelerator, chosen, log, stop)
