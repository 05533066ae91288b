"""The mean of ranks: 0 for a row's least likely class, up to classes - 1 (Borda count; Ho, Hull and
Srihari 1994, "Decision combination in multiple classifier systems").

Ranks are within a row, not among rows: a row's answer must not depend on what else is asked, and
ranks among rows would answer a rare class as often as a common one. The mean of the probabilities
counts half a rank at most: it breaks ties, and no class has a probability of nothing.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from agnews_cli.core.run.combiner import Rank
from agnews_cli.learn.kinds.combiner import Classes, Fitted, Said, mean

EXAMPLES = (Rank(),)
LEARNS = False
_TIE_BREAK = 0.5  # below the least that two sums of ranks lie apart, where there are no ties


def fit(how: Rank, said: Said, classes: Classes, seed: int) -> Fitted:
    return Fitted("rank", len(said), said.shape[2])


def apply(fitted: Fitted, said: Said) -> NDArray[np.float64]:
    scores = _TIE_BREAK * mean(said)
    for one in said:
        for number in range(one.shape[1]):  # equal ones have the mean of their ranks
            mine = one[:, number, None]
            scores[:, number] += (one < mine).sum(1) + ((one == mine).sum(1) - 1) / 2
    return np.asarray(scores / scores.sum(1, keepdims=True))
