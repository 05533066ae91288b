"""Multinomial logistic regression; a coefficient's square counts half a nat, as by scikit-learn's
default. It is minimised by SciPy, for importing scikit-learn takes longer than all the rest.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from agnews_cli.learn.figures.blend import softmax
from agnews_cli.learn.kinds.combiner import Fitted


def fit(features: NDArray, classes: NDArray, count: int, seed: int) -> Fitted:
    from scipy.optimize import minimize

    scale = float(features.std()) or 1.0
    columns = features / scale
    rows, width = columns.shape
    true = np.eye(count)[classes]

    def loss(values: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        weights, bias = values[count:].reshape(count, width), values[:count]
        found = softmax(columns @ weights.T + bias)
        nats = -np.log((found * true).sum(1) + 1e-300).sum() + 0.5 * (weights**2).sum()
        apart = found - true
        slope = np.concatenate([apart.sum(0), (apart.T @ columns + weights).ravel()])
        return nats / rows, slope / rows

    start = np.zeros(count * (width + 1))
    options = {"maxiter": 500, "ftol": 1e-10, "gtol": 1e-6}
    found = minimize(loss, start, jac=True, method="L-BFGS-B", options=options).x
    arrays = {
        "coefficients": found[count:].reshape(count, width) / scale,
        "intercepts": found[:count],
    }
    return Fitted("logistic", 0, count, arrays=arrays)


def apply(fitted: Fitted, features: NDArray) -> NDArray[np.float64]:
    arrays = fitted.arrays
    return softmax(features @ arrays["coefficients"].T + arrays["intercepts"])
