"""The best member alone: what any combination must beat."""

from __future__ import annotations

import numpy as np

from agnews_cli.core.run.combiner import Best
from agnews_cli.learn.figures.blend import log_loss
from agnews_cli.learn.kinds.combiner import Classes, Fitted, Said, of_weights, weighted_mean

EXAMPLES = (Best(),)
LEARNS = True
apply = weighted_mean


def fit(how: Best, said: Said, classes: Classes, seed: int) -> Fitted:
    """Right most often; of equals the one of least log loss."""
    wrong = [(float((one.argmax(1) != classes).mean()), log_loss(one, classes)) for one in said]
    best = wrong.index(min(wrong))
    return of_weights("best", said, np.eye(len(said))[best])
