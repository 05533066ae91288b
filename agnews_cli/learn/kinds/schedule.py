"""What a schedule is: a module of `learn.schedules`, named by the preset's `training.schedule`:

- `EXAMPLE`: fields of `Training`, for the suite that tests every schedule;
- `share(training, step, warmup, steps) -> float`: which share of the peak rate a step has, from 0
  to 1. Steps are counted from 0; `warmup` of them rise before: warmup <= step <= steps.
"""

from __future__ import annotations


def left(step: int, warmup: int, steps: int) -> float:
    """Which share of the steps after the rise is still to come, 1 to 0."""
    return max(0.0, (steps - step) / max(1, steps - warmup))
