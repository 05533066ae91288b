"""The weights of least log loss on the simplex: stacking of predictive distributions.

The loss is convex in the weights, so that what is found is the least there is (Yao et al. 2018,
arXiv 1704.02030). Equal members share the weight that they have together.
"""

from __future__ import annotations

from agnews_cli.core.run.combiner import Weighted
from agnews_cli.learn.combine.simplex import likeliest
from agnews_cli.learn.figures.blend import right
from agnews_cli.learn.kinds.combiner import Classes, Fitted, Said, of_weights, weighted_mean

EXAMPLES = (Weighted(),)
LEARNS = True
apply = weighted_mean


def fit(how: Weighted, said: Said, classes: Classes, seed: int) -> Fitted:
    return of_weights("weighted", said, likeliest(right(said, classes)))
