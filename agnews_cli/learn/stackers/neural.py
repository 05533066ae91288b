"""A small neural network: one hidden layer of 16 rectified units, weights decayed."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray

from agnews_cli.learn.figures.blend import softmax
from agnews_cli.learn.kinds.combiner import Fitted
from agnews_cli.learn.kinds.library import without

_UNITS, _PASSES, _DECAY = 16, 30, 0.1


def fit(features: NDArray, classes: NDArray, count: int, seed: int) -> Fitted:
    with without("pandas"):
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.neural_network import MLPClassifier

    scale = float(features.std()) or 1.0
    model = MLPClassifier(
        (_UNITS,), alpha=_DECAY, max_iter=_PASSES, learning_rate_init=3e-3, random_state=seed
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # so many passes are meant
        model.fit(features / scale, classes)
    first, last = model.coefs_
    shift, bias = model.intercepts_
    if count == 2:  # scikit-learn keeps the second class's alone
        last, bias = np.concatenate([-last, last], axis=1) / 2, np.concatenate([-bias, bias]) / 2
    arrays = {"first": first / scale, "shift": shift, "last": last, "bias": bias}
    return Fitted("neural", 0, count, arrays=arrays)


def apply(fitted: Fitted, features: NDArray) -> NDArray[np.float64]:
    arrays = fitted.arrays
    hidden = np.maximum(features @ arrays["first"] + arrays["shift"], 0)
    return softmax(hidden @ arrays["last"] + arrays["bias"])
