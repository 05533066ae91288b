"""Schedules of the learning rate, one module each (`learn.kinds.schedule`)."""

from __future__ import annotations

import sys

from agnews_cli.core.run.preset import Training
from agnews_cli.learn.kinds.registry import modules


def share(training: Training, step: int, warmup: int, steps: int) -> float:
    """Which share of the peak rate the preset's schedule gives a step after the rise."""
    named = modules(sys.modules[__name__])[training.schedule]
    found: float = named.share(training, step, warmup, steps)
    return found
