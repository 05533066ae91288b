"""Bayesian model averaging: weights in proportion to exp(log evidence).

The evidence of a member is its likelihood on rows that it has not seen, and the weights are
pseudo-BMA+ (Yao, Vehtari, Simpson and Gelman 2018, arXiv 1704.02030): the mean of the weights
over Bayesian bootstraps of the rows, for the evidence of finitely many rows is itself uncertain.
Plain exp(log evidence) of thousands of rows puts all weight on one member, even where two differ by
chance; that the true model is among the members is what it assumes (Minka 2002, "Bayesian model
averaging is not model combination"). Where nearly all weight is on one member, `why` says so.
"""

from __future__ import annotations

import numpy as np

from agnews_cli.core.run.combiner import Bayesian
from agnews_cli.learn.figures.blend import right, softmax, surprise
from agnews_cli.learn.kinds.combiner import Classes, Fitted, Said, of_weights, weighted_mean

EXAMPLES = (Bayesian(), Bayesian(effective_rows=50))
LEARNS = True
apply = weighted_mean
_DRAWS, _AT_ONCE = 500, 50
_NEARLY_ALL = 0.99


def fit(how: Bayesian, said: Said, classes: Classes, seed: int) -> Fitted:
    evidence = -surprise(right(said, classes))
    counted = len(classes) if how.effective_rows is None else how.effective_rows
    rng = np.random.default_rng(seed)
    weights = np.zeros(len(said))
    for _ in range(_DRAWS // _AT_ONCE):
        drawn = rng.standard_exponential((_AT_ONCE, len(classes)))  # Dirichlet, once divided
        means = (drawn @ evidence.T) / drawn.sum(1, keepdims=True)
        weights += softmax(counted * means).sum(0) / _DRAWS
    why = ""
    if len(said) > 1 and weights.max() > _NEARLY_ALL:
        why = (
            f"{weights.max():.1%} of the weight is on one member, for the evidence of "
            f"{counted:,.0f} rows is that strong; `effective_rows: 100` would spread it"
        )
    return of_weights("bayesian", said, weights, why)
