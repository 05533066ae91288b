"""The learning rate: a pure function of the step and the planned number of steps."""

from __future__ import annotations

import math

from agnews_cli.core.run.preset import Training
from agnews_cli.learn.loop import cycles


def learning_rate(training: Training, step: int, total_steps: int) -> float:
    """Rate of step `step` (0-based): linear rise over the warm-up share, then decay to zero.

    Cyclic: so in each cycle, by a cosine (SGDR, Loshchilov and Hutter 2017, arXiv 1608.03983; of
    cycles of one length, as in Huang et al. 2017, arXiv 1704.00109, eq. 2; neither warms up).
    """
    if training.cycles:
        begin, end = cycles.bounds(training.cycles, step, total_steps)
        step, total_steps = step - begin, end - begin
    warmup = max(1, round(training.warmup * total_steps))
    if step < warmup:
        return training.lr * (step + 1) / warmup
    left = max(0.0, (total_steps - step) / max(1, total_steps - warmup))
    if training.schedule == "linear":
        return training.lr * left
    return training.lr * 0.5 * (1 + math.cos(math.pi * (1 - left)))
