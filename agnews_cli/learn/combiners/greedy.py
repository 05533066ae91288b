"""Greedy selection with replacement (Caruana, Niculescu-Mizil, Crew and Ksikes 2004, "Ensemble
selection from libraries of models"), with their two guards against learning the rows by heart:
pruning of the members that may be picked, and bagging, where selections from random halves of the
members are averaged.
"""

from __future__ import annotations

import numpy as np

from agnews_cli.core.run.combiner import Greedy
from agnews_cli.learn.figures.blend import right, selected, surprise
from agnews_cli.learn.kinds.combiner import Classes, Fitted, Said, of_weights, weighted_mean

EXAMPLES = (Greedy(), Greedy(picks=5, keep=0.5), Greedy(bags=20))
LEARNS = True
apply = weighted_mean


def fit(how: Greedy, said: Said, classes: Classes, seed: int) -> Fitted:
    told = right(said, classes)
    order = np.argsort(surprise(told).mean(1), kind="stable")  # so that no other order decides
    kept = order[: max(1, round(how.keep * len(told)))]
    weights = np.zeros(len(told))
    rng = np.random.default_rng(seed)
    for _ in range(how.bags):
        there = kept
        if how.bags > 1 and len(kept) > 2:
            there = rng.choice(kept, size=(len(kept) + 1) // 2, replace=False)
        weights[there] += selected(told[there], how.picks) / how.bags
    return of_weights("greedy", said, weights)
