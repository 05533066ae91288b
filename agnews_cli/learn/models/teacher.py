"""What the linear model says of the training rows, each asked of a model that never saw the row.

Half the target from it makes a fine-tuned model surer where two very different models agree, and
less sure of labels that look wrong: distillation (Hinton et al. 2015) from out-of-fold predictions
(stacked generalisation's, Wolpert 1992), which leak no label.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from agnews_cli.learn.models.linear import Linear

FOLDS = 5
_IN_EVERY_TRAINING = -1


def out_of_fold(
    texts: Sequence[str],
    classes: NDArray[np.int64],
    *,
    count: int,
    seed: int,
    weights: NDArray[np.float64] | None = None,
    check: Callable[[], None] = lambda: None,
) -> NDArray[np.float32]:
    """Class probabilities, (rows, `count`). `check` may raise between two folds.

    `weights`: as in `Linear.fit`.

    Classes with fewer rows than there are folds stay in every training, and keep their labels.
    """
    fold = _folds(classes, seed)
    found = one_hot(classes, count)
    for number in range(FOLDS):
        check()
        inside, outside = np.flatnonzero(fold != number), np.flatnonzero(fold == number)
        if len(outside):
            asked = [texts[int(row)] for row in outside]
            model = Linear.fit(
                [texts[int(row)] for row in inside],
                classes[inside],
                asked,  # their classes set one number, the temperature
                classes[outside],
                count=count,
                seed=seed,
                weights=weights,
            )
            found[outside] = model.predict(asked)
    return found


def one_hot(classes: NDArray[np.int64], count: int) -> NDArray[np.float32]:
    """(rows, `count`)."""
    return np.eye(count, dtype=np.float32)[classes]


def mixed(
    answers: NDArray[np.float32], classes: NDArray[np.int64], share: float
) -> NDArray[np.float32]:
    """What is learnt where `share` of a target is what a teacher said, (rows, classes)."""
    labels = one_hot(classes, answers.shape[1])
    return np.asarray((1 - share) * labels + np.float32(share) * answers)


def _folds(classes: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """The fold of each row, stratified; -1 for rows of classes too small to be divided."""
    rng = np.random.Generator(np.random.PCG64([seed, 0xF01D]))
    fold = np.full(len(classes), _IN_EVERY_TRAINING, dtype=np.int64)
    for number in np.unique(classes):
        rows = rng.permutation(np.flatnonzero(classes == number))
        if len(rows) >= FOLDS:
            fold[rows] = np.arange(len(rows)) % FOLDS
    return fold
