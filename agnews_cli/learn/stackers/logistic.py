"""Multinomial logistic regression, drawn towards nothing by scikit-learn's default strength."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from agnews_cli.learn.figures.blend import softmax
from agnews_cli.learn.kinds.combiner import Fitted


def fit(features: NDArray, classes: NDArray, count: int, seed: int) -> Fitted:
    from sklearn.linear_model import LogisticRegression

    scale = float(features.std()) or 1.0
    model = LogisticRegression(max_iter=500, random_state=seed).fit(features / scale, classes)
    coefficients, intercepts = model.coef_, model.intercept_
    if count == 2:  # scikit-learn keeps the second class's alone
        coefficients = np.concatenate([-coefficients / 2, coefficients / 2])
        intercepts = np.concatenate([-intercepts / 2, intercepts / 2])
    arrays = {"coefficients": coefficients / scale, "intercepts": intercepts}
    return Fitted("logistic", 0, count, arrays=arrays)


def apply(fitted: Fitted, features: NDArray) -> NDArray[np.float64]:
    arrays = fitted.arrays
    return softmax(features @ arrays["coefficients"].T + arrays["intercepts"])
