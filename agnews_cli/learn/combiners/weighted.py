"""The weights of least log loss on the simplex: stacking of predictive distributions.

The loss is convex in the weights, so that what is found is the least there is (Yao et al. 2018,
arXiv 1704.02030). Equal members share the weight that they have together. A prior may draw them
together: few rows tell little, and equal weights are hard to beat (Stock and Watson 2004).
"""

from __future__ import annotations

import numpy as np

from agnews_cli.core.run.combiner import Weighted
from agnews_cli.learn.figures.blend import right
from agnews_cli.learn.figures.simplex import likeliest, likeliest_drawn_together
from agnews_cli.learn.kinds.combiner import Classes, Fitted, Said, of_weights, weighted_mean

EXAMPLES = (Weighted(), Weighted(prior_rows=3))
LEARNS = True
apply = weighted_mean


def fit(how: Weighted, said: Said, classes: Classes, seed: int) -> Fitted:
    told = right(said, classes)
    if not how.prior_rows:
        return of_weights("weighted", said, likeliest(told))
    weights, _ = likeliest_drawn_together(told, np.ones(len(classes)), how.prior_rows)
    return of_weights("weighted", said, weights)
