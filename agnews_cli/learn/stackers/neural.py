"""A small neural network: one hidden layer of 16 rectified units; a weight's square counts five
nats. It is minimised by SciPy, for importing scikit-learn takes longer than all the rest.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from agnews_cli.learn.figures.blend import softmax
from agnews_cli.learn.kinds.combiner import Fitted

_UNITS, _PASSES, _DECAY = 16, 30, 10.0
_NAMES = ("first", "shift", "last", "bias")


def fit(features: NDArray, classes: NDArray, count: int, seed: int) -> Fitted:
    from scipy.optimize import minimize

    scale = float(features.std()) or 1.0
    shapes = ((features.shape[1], _UNITS), (_UNITS,), (_UNITS, count), (count,))
    found = minimize(
        loss,
        _drawn(shapes, seed),
        (features / scale, np.eye(count)[classes], shapes),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": _PASSES},
    )
    arrays = dict(zip(_NAMES, _parts(found.x, shapes), strict=True))
    arrays["first"] = arrays["first"] / scale
    return Fitted("neural", 0, count, arrays=arrays)


def apply(fitted: Fitted, features: NDArray) -> NDArray[np.float64]:
    arrays = fitted.arrays
    hidden = np.maximum(features @ arrays["first"] + arrays["shift"], 0)
    return softmax(hidden @ arrays["last"] + arrays["bias"])


def loss(
    values: NDArray[np.float64],
    columns: NDArray[np.float64],
    true: NDArray[np.float64],
    shapes: tuple[tuple[int, ...], ...],
) -> tuple[float, NDArray[np.float64]]:
    """Nats a row, weights' squares among them, and their gradient by `values`.

    columns: (rows, inputs); true: (rows, classes), one 1 a row; values: the four arrays of
    `shapes`, one after the other.
    """
    first, shift, last, bias = _parts(values, shapes)
    hidden = np.maximum(columns @ first + shift, 0)
    found = softmax(hidden @ last + bias)
    nats = -np.log((found * true).sum(1) + 1e-300).sum()
    nats += _DECAY / 2 * ((first**2).sum() + (last**2).sum())
    apart = found - true
    back = (apart @ last.T) * (hidden > 0)
    slopes = (
        columns.T @ back + _DECAY * first,
        back.sum(0),
        hidden.T @ apart + _DECAY * last,
        apart.sum(0),
    )
    return nats / len(columns), np.concatenate([slope.ravel() for slope in slopes]) / len(columns)


def _drawn(shapes: tuple[tuple[int, ...], ...], seed: int) -> NDArray[np.float64]:
    """Where it starts: weights as He et al. (2015) draw them (section 2.2), shifts of 0."""
    rng = np.random.default_rng(seed)
    wide, shift, last, bias = shapes
    weights = [rng.normal(0, (2 / shape[0]) ** 0.5, shape).ravel() for shape in (wide, last)]
    return np.concatenate([weights[0], np.zeros(shift), weights[1], np.zeros(bias)])


def _parts(
    values: NDArray[np.float64], shapes: tuple[tuple[int, ...], ...]
) -> list[NDArray[np.float64]]:
    ends = np.cumsum([np.prod(shape) for shape in shapes])[:-1]
    return [part.reshape(s) for part, s in zip(np.split(values, ends), shapes, strict=True)]
