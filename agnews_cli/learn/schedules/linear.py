"""A straight line to zero."""

from __future__ import annotations

from agnews_cli.core.run.preset import Training
from agnews_cli.learn.kinds.schedule import left

EXAMPLE: dict[str, object] = {"schedule": "linear"}


def share(training: Training, step: int, warmup: int, steps: int) -> float:
    return left(step, warmup, steps)
