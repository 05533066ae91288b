"""Weights learnt on a held-out part of the rows; the other rows say how far they are believed.

Static: the weights of least log loss. Dynamic: softmax(a weight of each member + slope * how sure
it is of the row), the likeliest on the part, so that one member may count where it is sure and
another where that one is not. Either is mixed with the plain average, in the share (0, 0.1 .. 1)
that is likeliest on the rows that the weights have not seen.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from agnews_cli.core.run.combiner import Blend
from agnews_cli.learn.figures.blend import right, row_losses, surprise
from agnews_cli.learn.figures.simplex import likeliest
from agnews_cli.learn.kinds.combiner import (
    Classes,
    Fitted,
    Said,
    certainty,
    mean,
    mixed,
    of_weights,
    weighted_mean,
)
from agnews_cli.learn.rows.parts import split_off

EXAMPLES = (Blend(), Blend(dynamic=True), Blend(share=0.7, dynamic=True))
LEARNS = True
_BELIEFS = np.linspace(0.0, 1.0, 11)
_PENALTY = 1.0  # of a parameter of 1, in nats of all rows together


def fit(how: Blend, said: Said, classes: Classes, seed: int) -> Fitted:
    part, rest = split_off(classes, share=1 - how.share, seed=seed)
    learnt, judged = said[:, part], said[:, rest]
    if not how.dynamic:
        weights = likeliest(right(learnt, classes[part]))
        trial = of_weights("blend", said, weights)
        belief = _belief(weighted_mean(trial, judged), judged, classes[rest])
        return of_weights("blend", said, belief * weights + (1 - belief) / len(said), _says(belief))
    biases, slope = _dynamic(learnt, classes[part])
    belief = _belief(mixed(_shares(biases, slope, judged), judged), judged, classes[rest])
    facts = {"slope": slope, "belief": belief, "biases": [float(b) for b in biases]}
    return Fitted("blend", len(said), said.shape[2], why=_says(belief), facts=facts)


def apply(fitted: Fitted, said: Said) -> NDArray[np.float64]:
    if fitted.weights is not None:
        return weighted_mean(fitted, said)
    facts = fitted.facts
    shares = _shares(np.asarray(facts["biases"]), facts["slope"], said)
    belief = facts["belief"]
    if not 0 <= belief <= 1:  # it may be anybody's file, and what is mixed still adds up to 1
        raise ValueError(f"the share of its weights is {belief}")
    return mixed(belief * shares + (1 - belief) / len(said), said)


def _says(belief: float) -> str:
    return "" if belief else "the weights did not hold on other rows: it is the plain average"


def _belief(learnt: NDArray[np.float64], said: Said, classes: Classes) -> float:
    plain = mean(said)
    mixtures = [belief * learnt + (1 - belief) * plain for belief in _BELIEFS]
    losses = [float(row_losses(mixture, classes).mean()) for mixture in mixtures]
    return float(_BELIEFS[int(np.argmin(losses))])


def _shares(biases: NDArray[np.float64], slope: float, said: Said) -> NDArray[np.float64]:
    """(members, rows)."""
    scores = biases[:, None] + slope * certainty(said)
    raised = np.exp(scores - scores.max(0))
    return np.asarray(raised / raised.sum(0))


def _dynamic(said: Said, classes: Classes) -> tuple[NDArray[np.float64], float]:
    """(a bias of each member, the slope): the likeliest, drawn a little towards nothing."""
    from scipy.optimize import minimize

    told, sure, count = right(said, classes), certainty(said), len(said)

    def loss(values: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        scores = values[:count, None] + values[count] * sure
        shares = np.exp(scores - scores.max(0))
        shares /= shares.sum(0)
        likely = (shares * told).sum(0)
        pull = -shares * (told - likely) / (likely + 1e-12)  # the gradient by score
        slopes = np.append(pull.sum(1), (pull * sure).sum())
        whole = surprise(likely).sum() + 0.5 * _PENALTY * (values @ values)
        return whole / len(classes), (slopes + _PENALTY * values) / len(classes)

    found = minimize(loss, np.zeros(count + 1), jac=True, method="L-BFGS-B")
    return found.x[:count], float(found.x[count])
