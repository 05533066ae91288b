"""What a combiner would say of rows that it has not learnt from, inside the rows that it has."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Answer = Callable[[NDArray[np.floating]], NDArray[np.float64]]
"""(members, rows, classes) -> (rows, classes)."""
Learn = Callable[[NDArray[np.floating], NDArray[np.integer]], Answer]


def out_of_fold(
    learn: Learn,
    said: NDArray[np.floating],
    classes: NDArray[np.integer],
    fold: NDArray[np.integer],
) -> NDArray[np.float64]:
    """(rows, classes): each row from what was learnt of the rows of all other parts.

    `fold`: the part of each row, such as `learn.rows.parts.folds_of` gives.
    """
    found = np.empty(said.shape[1:])
    for number in np.unique(fold):
        inside, outside = np.flatnonzero(fold != number), np.flatnonzero(fold == number)
        found[outside] = learn(said[:, inside], classes[inside])(said[:, outside])
    return found
