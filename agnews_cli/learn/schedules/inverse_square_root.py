"""The inverse square root of the step (Vaswani et al. 2017, arXiv 1706.03762, eq. 3).

It does not end at zero, and knows the planned number of steps by its warm-up alone: at four times
the warm-up the rate is half its peak.
"""

from __future__ import annotations

from agnews_cli.core.run.preset import Training

EXAMPLE: dict[str, object] = {"schedule": "inverse_square_root"}


def share(training: Training, step: int, warmup: int, steps: int) -> float:
    found: float = (warmup / (step + 1)) ** 0.5
    return found
