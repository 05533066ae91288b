"""How often answers are right, and how sure they should be of it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from agnews_cli.core.run.evaluation import Interval
from agnews_cli.core.run.wilson import wilson

_BINS = 15


def accuracy(right: int, rows: int) -> Interval:
    """With Wilson's 95% interval."""
    low, high = wilson(right / rows, rows)
    return Interval(value=right / rows, low=low, high=high, method="wilson")


def calibration_error(probabilities: NDArray[np.floating], classes: NDArray[np.integer]) -> float:
    """Expected calibration error over 15 equal-width bins (Guo et al. 2017)."""
    confidence = probabilities.max(1)
    right = probabilities.argmax(1) == classes
    bins = np.minimum((confidence * _BINS).astype(int), _BINS - 1)
    gaps = [
        (bins == b).mean() * abs(right[bins == b].mean() - confidence[bins == b].mean())
        for b in np.unique(bins)
    ]
    return float(np.sum(gaps))
