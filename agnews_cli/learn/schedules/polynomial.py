"""A power of the straight line, to zero: below it from the start where the power is above 1."""

from __future__ import annotations

from agnews_cli.core.run.preset import Training
from agnews_cli.learn.kinds.schedule import left

EXAMPLE: dict[str, object] = {"schedule": "polynomial", "schedule_power": 3.0}


def share(training: Training, step: int, warmup: int, steps: int) -> float:
    found: float = left(step, warmup, steps) ** training.schedule_power
    return found
