"""Half a cosine to zero (Loshchilov and Hutter 2017, arXiv 1608.03983, eq. 5, without restarts)."""

from __future__ import annotations

import math

from agnews_cli.core.run.preset import Training
from agnews_cli.learn.kinds.schedule import left

EXAMPLE: dict[str, object] = {"schedule": "cosine", "warmup": 0.3}


def share(training: Training, step: int, warmup: int, steps: int) -> float:
    return 0.5 * (1 + math.cos(math.pi * (1 - left(step, warmup, steps))))
