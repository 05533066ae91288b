"""Weights that are not negative and add up to 1, and that make what was true the likeliest."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_LEAST = 1e-12
_POLISH, _ENOUGH = 200, 1e-7
_ROUNDS, _STILL = 500, 1e-6


def likeliest_drawn_together(
    said: NDArray[np.float64], counts: NDArray[np.float64], prior_rows: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(of a mixture the weights, (members,); the rows that each explains, (members,)).

    As if, before any row, each member alone had explained `prior_rows` (a Dirichlet prior; more
    than 0), by expectation maximisation, which has one answer. said: as below; counts: how many
    rows a row counts as, (rows,).
    """
    weights = np.full(len(said), 1 / len(said))
    for _ in range(_ROUNDS):
        explained = weights[:, None] * (said + _LEAST)
        rows = (explained / explained.sum(axis=0)) @ counts
        before, weights = weights, (rows + prior_rows) / (rows + prior_rows).sum()
        if np.abs(weights - before).max() < _STILL:
            break
    return weights, np.asarray(rows)


def likeliest(said: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of a mixture, (members,). said: what each member says of the true class, (members, rows).

    A convex problem. From equal weights, so that equal members end with equal ones; what SciPy
    finds is then polished by expectation maximisation, which stays on the simplex and never makes
    the rows less likely, until no weight could win more than 1e-7 nats a row (the duality gap).
    """
    from scipy.optimize import minimize

    told, equal = said + _LEAST, np.full(len(said), 1 / len(said))
    if len(said) == 1:
        return equal

    def loss(weights: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        likely = np.maximum(weights @ told, _LEAST)
        return float(-np.log(likely).mean()), -(told @ (1 / likely)) / told.shape[1]

    found = minimize(
        loss,
        equal,
        jac=True,
        method="SLSQP",
        bounds=[(0, 1)] * len(told),
        constraints={
            "type": "eq",
            "fun": lambda weights: weights.sum() - 1,
            "jac": lambda weights: np.ones(len(weights)),
        },
        options={"ftol": 1e-10, "maxiter": 200},
    )
    weights = np.clip(found.x, 0, 1) if np.isfinite(found.x).all() else equal
    if not weights.sum() > 0 or loss(weights / weights.sum())[0] > loss(equal)[0]:
        weights = equal
    weights = weights / weights.sum()
    for _ in range(_POLISH):
        gains = -loss(weights)[1]
        if gains.max() - 1 < _ENOUGH:
            break
        weights = weights * gains
    return np.asarray(weights / weights.sum())
