"""Differences that were measured at several seeds, on the same rows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_DRAWS = 2000


def interval(apart: NDArray[np.float64]) -> tuple[float, float, float]:
    """(mean, low, high) of 95%, by a bootstrap over rows, whose seeds go with them.

    apart: (seeds, rows).
    """
    rng, mean = np.random.default_rng(0), apart.mean(0)
    drawn = [mean[rng.integers(0, len(mean), len(mean))].mean() for _ in range(_DRAWS)]
    low, high = np.percentile(drawn, [2.5, 97.5])
    return float(mean.mean()), float(low), float(high)
