"""Greedy selection with replacement (Caruana, Niculescu-Mizil, Crew and Ksikes 2004, "Ensemble
selection from libraries of models"), with their two guards against learning the rows by heart:
pruning of the members that may be picked, and bagging, where selections from random halves of the
members are averaged.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from agnews_cli.core.run.combiner import Greedy
from agnews_cli.learn.figures.blend import right, surprise
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
        weights[there] += _selected(told[there], how.picks) / how.bags
    return of_weights("greedy", said, weights)


def _selected(said: NDArray[np.float64], picks: int) -> NDArray[np.float64]:
    """Each member's share, (members,), of the best prefix of at most so many greedy picks.

    `said`: what each says of the true class, (members, rows).
    """
    total = np.zeros(said.shape[1])
    taken: list[int] = []
    best: tuple[float, int] = (np.inf, 1)
    for count in range(1, picks + 1):
        losses = surprise((total + said) / count).mean(1)
        pick = int(losses.argmin())
        total += said[pick]
        taken.append(pick)
        if losses[pick] < best[0] - 1e-4:
            best = (float(losses[pick]), count)
    return np.bincount(taken[: best[1]], minlength=len(said)) / best[1]
