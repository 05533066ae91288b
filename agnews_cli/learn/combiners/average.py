"""The mean of members' probabilities (soft voting)."""

from __future__ import annotations

import numpy as np

from agnews_cli.core.run.combiner import Average
from agnews_cli.learn.kinds.combiner import Classes, Fitted, Said, of_weights, weighted_mean

EXAMPLES = (Average(),)
LEARNS = False
apply = weighted_mean


def fit(how: Average, said: Said, classes: Classes, seed: int) -> Fitted:
    return of_weights("average", said, np.ones(len(said)))
