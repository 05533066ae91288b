"""The learning rate: a pure function of the step and the planned number of steps."""

from __future__ import annotations

from agnews_cli.core.run.preset import Training
from agnews_cli.learn import schedules
from agnews_cli.learn.loop import cycles


def learning_rate(training: Training, step: int, total_steps: int) -> float:
    """Rate of step `step` (0-based): linear rise over the warm-up share, then the schedule's; so in
    each cycle, where it has cycles."""
    if training.cycles:
        begin, end = cycles.bounds(training.cycles, step, total_steps)
        step, total_steps = step - begin, end - begin
    warmup = max(1, round(training.warmup * total_steps))
    if step < warmup:
        return training.lr * (step + 1) / warmup
    return training.lr * schedules.share(training, step, warmup, total_steps)
