"""How much a row of each class counts: the same, or more where the class is rare."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

Weighing = Literal["auto", "none", "balanced"]

_RARE = 0.25
"""A class is rare with less than this share of the rows that a mean one has."""
_MOST_TIMES = 10.0
"""By default no row counts more often than this: two rows must not lead a training."""


def weights_of(
    weighing: Weighing, classes: NDArray[np.int64], count: int
) -> NDArray[np.float64] | None:
    """The weight of each class, (`count`,), with a mean of 1 over the rows; None: all the same.

    `balanced` as in scikit-learn: rows / (classes * rows of it). `auto` is that, within bounds,
    where a class is so rare that it would hardly ever be answered.
    """
    rows = np.bincount(classes, minlength=count)
    if weighing == "none" or (weighing == "auto" and not is_skewed(rows)):
        return None
    weights = len(classes) / (count * np.maximum(1, rows))
    if weighing == "auto":
        weights = np.minimum(weights, _MOST_TIMES * weights[rows > 0].min())
        weights = weights * len(classes) / float(weights @ rows)
    return np.asarray(weights)


def is_skewed(rows: NDArray[np.int64]) -> bool:
    """Whether a class is rare; `rows`: of each class, those without any not counted."""
    there = rows[rows > 0]
    return bool(len(there) and there.min() < _RARE * there.mean())
