"""Each row's mean, in which a member counts by how sure it is of that row.

A weight is (1 - entropy / log classes) to the power of `sharpness`: certainty as Shannon measures
it, of the whole answer and not of its first class alone.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from agnews_cli.core.run.combiner import Confidence
from agnews_cli.learn.kinds.combiner import Classes, Fitted, Said, certainty, mixed

EXAMPLES = (Confidence(), Confidence(sharpness=3.0))
LEARNS = False
_LEAST = 1e-6  # so that a row of which nobody knows anything has a plain mean


def fit(how: Confidence, said: Said, classes: Classes, seed: int) -> Fitted:
    return Fitted("confidence", len(said), said.shape[2], facts={"sharpness": how.sharpness})


def apply(fitted: Fitted, said: Said) -> NDArray[np.float64]:
    weights = (certainty(said) + _LEAST) ** fitted.facts["sharpness"]
    return mixed(weights / weights.sum(0), said)
