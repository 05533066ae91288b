"""Two models on the same rows: what lies between them, and whether it may be chance.

`apart`: (rows,), one minus the other; of who is right it is -1, 0 or 1.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Apart = NDArray[np.floating] | NDArray[np.integer]


def mean_and_error(apart: Apart) -> tuple[float, float]:
    """(mean, its standard error)."""
    error = apart.std(ddof=1) / np.sqrt(len(apart)) if len(apart) > 1 else np.inf
    return float(apart.mean()), float(error)


def mcnemar(apart: Apart) -> float:
    """Two-sided p of McNemar's exact test: the rows where one alone is right, as coins."""
    from scipy.special import bdtr  # scipy.stats takes longer to import than all tests

    wins, losses = int((apart > 0).sum()), int((apart < 0).sum())
    return min(1.0, 2 * float(bdtr(min(wins, losses), wins + losses, 0.5)))


def normal(mean: float, error: float) -> float:
    """Two-sided p of a mean with this standard error."""
    return math.erfc(abs(mean) / error / math.sqrt(2)) if error else 1.0


def bootstrap(apart: Apart, *, seed: int, draws: int = 10_000) -> tuple[float, float]:
    """(low, high) of 95% of the mean where rows are drawn anew, with replacement.

    Rows of -1, 0 and 1 differ in nothing else, so that their numbers are drawn: a multinomial.
    """
    rows = len(apart)
    counts = np.asarray([(apart < 0).sum(), (apart == 0).sum(), (apart > 0).sum()])
    drawn = np.random.default_rng(seed).multinomial(rows, counts / rows, draws)
    low, high = np.percentile((drawn[:, 2] - drawn[:, 0]) / rows, [2.5, 97.5])
    return float(low), float(high)


def holm(p_values: NDArray[np.float64]) -> NDArray[np.float64]:
    """p-values of so many tests, each as if it were the only one (Holm 1979)."""
    order = np.argsort(p_values, kind="stable")
    steps = np.minimum(1.0, p_values[order] * np.arange(len(p_values), 0, -1))
    found = np.empty(len(p_values))
    found[order] = np.maximum.accumulate(steps)
    return found
