"""Macro-F1 and its 95% interval, also where a class has one or two test rows.

Resampling the rows themselves fails there: what was all right stays all right in every resample
(an interval of no width), and a class of one row drops out of every third one (an interval beside
the figure). So test splits of the same class sizes are drawn from a smoothed model of the
classifier (a parametric bootstrap, Efron and Tibshirani 1993, ch. 6.5); from them come the bias of
the figure and its standard error. The latter, as a number of rows that would have it, goes into
Wilson's score interval (1927) around the figure without its bias; Student's quantile and a number
of rows that is not the real one as in Korn and Graubard 1998. benchmarks/macro_f1.py simulates how
often it holds the true value.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from agnews_cli.core.run.wilson import wilson

_DRAWS = 1000
_PRIOR_ROWS = 2.0
"""A class's own recall counts as much as the common one when it has so many rows."""

Floats = NDArray[np.float64]


def macro_f1(matrix: NDArray[np.int64]) -> float:
    """Mean F1 of the classes that have test rows; matrix: (true, predicted) counts.

    A class without test rows has no F1: rows wrongly given to it count against their own classes.
    """
    sizes, hits = matrix.sum(1), np.diagonal(matrix)
    return float(_mean_f1(hits, sizes, matrix.sum(0) - hits))


def interval(matrix: NDArray[np.int64]) -> tuple[float, float]:
    """(low, high) of 95%; it holds the figure. Memory: 1,000 numbers for each class."""
    from scipy.special import stdtrit  # scipy.stats takes longer to import than all the rest

    sizes, hits = matrix.sum(1), np.diagonal(matrix)
    false = matrix.sum(0) - hits
    recall, share = _smoothed(sizes, hits, false)
    rng = np.random.default_rng(0)
    drawn = rng.binomial(sizes, recall, (_DRAWS, len(sizes)))
    wrong = sizes.sum() - drawn.sum(1)
    figures = _mean_f1(drawn, sizes, rng.multinomial(wrong, share))
    true = float(_mean_f1(sizes * recall, sizes, (sizes * (1 - recall)).sum() * share))
    figure = macro_f1(matrix)
    centre = min(1.0, max(0.0, figure + true - float(figures.mean())))
    rows = true * (1 - true) / max(float(figures.var()), 1e-12)
    low, high = wilson(centre, rows, float(stdtrit(max(1, sizes.sum() - 1), 0.975)))
    return min(low, figure), max(high, figure)


def _mean_f1(hits: NDArray, sizes: NDArray, false: NDArray) -> Floats:
    """Over the last axis; `false`: rows of other classes that were given to the class."""
    f1 = 2 * hits / np.maximum(sizes + hits + false, 1)
    return np.asarray(f1[..., sizes > 0].mean(-1))


def _smoothed(sizes: NDArray, hits: NDArray, false: NDArray) -> tuple[Floats, Floats]:
    """(recall of each class, its share of wrong predictions), neither ever 0 or 1.

    Two right and two wrong rows are added to all (Agresti and Coull 1998); each class is drawn
    towards what all classes have in common, the more the fewer rows it has.
    """
    common = (hits.sum() + 2) / (sizes.sum() + 4)
    recall = (hits + _PRIOR_ROWS * common) / (sizes + _PRIOR_ROWS)
    expected = sizes / sizes.sum()
    share = (false + _PRIOR_ROWS * len(sizes) * expected) / (false.sum() + _PRIOR_ROWS * len(sizes))
    return recall, share
