"""Several models become one, from what they said of rows: chosen, judged and written."""

from __future__ import annotations

from agnews_cli.core.run.job import CombineJob, Outcome
from agnews_cli.learn.door.events import EventLog, StopFlag


def make(job: CombineJob, log: EventLog, stop: StopFlag) -> Outcome:
    raise NotImplementedError
