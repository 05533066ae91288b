"""The learning rate: a pure function of the step and the planned number of steps."""

from __future__ import annotations

from agnews_cli.core.run.preset import Training
from agnews_cli.learn import schedules


def learning_rate(training: Training, step: int, total_steps: int) -> float:
    """Rate of step `step` (0-based): linear rise over the warm-up share, then the schedule's."""
    warmup = max(1, round(training.warmup * total_steps))
    if step < warmup:
        return training.lr * (step + 1) / warmup
    return training.lr * schedules.share(training, step, warmup, total_steps)
