"""Each member has one vote (hard voting). The mean of all members is one voter more.

Its vote is shared out by probability, so that it breaks ties and outvotes nobody, and so that no
class has a probability of nothing.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from agnews_cli.core.run.combiner import Vote
from agnews_cli.learn.kinds.combiner import Classes, Fitted, Said, mean

EXAMPLES = (Vote(),)
LEARNS = False


def fit(how: Vote, said: Said, classes: Classes, seed: int) -> Fitted:
    return Fitted("vote", len(said), said.shape[2])


def apply(fitted: Fitted, said: Said) -> NDArray[np.float64]:
    votes = mean(said)
    rows = np.arange(said.shape[1])
    for one in said:
        votes[rows, one.argmax(1)] += 1
    return votes / (len(said) + 1)
