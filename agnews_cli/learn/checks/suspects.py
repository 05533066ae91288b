"""Likely label errors: rows whose label the other rows speak against.

Confident learning (Northcutt, Jiang, Chuang 2021, arXiv 1911.00068): a row is counted as of class j
where its probability of j, out of fold, is at least the mean of the rows that are labelled j; of
several such classes the likeliest. Where a class is told almost without error, that mean is nearly
1 and no wrong row reaches it; here a probability of 0.9 is enough. Rows that are counted as of
another class than they are labelled are suspects, in the order of the normalised margin: their
label's probability less that of the likeliest other class.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from agnews_cli.core.guards.data_facts import RowPlace, Suspect, Suspects
from agnews_cli.core.run.dataset import Rows
from agnews_cli.learn.models.linear import Linear
from agnews_cli.learn.rows.parts import folds_of, limit_rows

MOST_ROWS = 20_000
"""As many are asked about: on two cores they take about a minute."""
FOLDS = 5
ENOUGH = 0.9
_LEAST_ROWS_A_CLASS = 2 * FOLDS
_MOST_TOLD = 1_000
_SHOWN_CHARACTERS = 200

Indices = NDArray[np.int64]


def out_of_fold(
    texts: list[str],
    classes: Indices,
    *,
    count: int,
    seed: int = 0,
    folds: int = FOLDS,
    classifier: str = "both",
) -> NDArray[np.float32]:
    """What linear models that did not see a row say of it, (rows, count)."""
    fold = folds_of(classes, folds, seed=seed)
    found = np.zeros((len(classes), count), dtype=np.float32)
    for number in range(folds):
        inside, outside = np.flatnonzero(fold != number), np.flatnonzero(fold == number)
        asked = [texts[row] for row in outside]
        model = Linear.fit(
            [texts[row] for row in inside],
            classes[inside],
            asked,
            classes[outside],
            count=count,
            seed=seed,
            classifier=classifier,
        )
        found[outside] = model.predict(asked)
    return found


def confident(probabilities: NDArray[np.floating], classes: Indices) -> Indices:
    """The class that each row is counted as, (rows,); -1: none is likely enough."""
    count = probabilities.shape[1]
    own = probabilities[np.arange(len(classes)), classes]
    rows = np.bincount(classes, minlength=count)
    mean = np.bincount(classes, weights=own, minlength=count) / np.maximum(rows, 1)
    least = np.where(rows > 0, np.minimum(mean, ENOUGH), np.inf)
    likely = np.where(probabilities >= least, probabilities, -1.0)
    return np.where(likely.max(1) >= 0, likely.argmax(1), -1)


def margins(probabilities: NDArray[np.floating], classes: Indices) -> NDArray[np.float64]:
    """The label's probability less that of the likeliest other class, (rows,): low is suspect."""
    rows = np.arange(len(classes))
    others = probabilities.astype(np.float64)
    own = others[rows, classes].copy()
    others[rows, classes] = -1.0
    return own - others.max(1)


def suspects(train: Rows, *, count: int, seed: int) -> Suspects:
    """Of the training rows, or of so many of them, drawn by the seed."""
    every = np.asarray(train.classes, dtype=np.int64)
    rows = limit_rows(every, MOST_ROWS, seed=seed)
    sizes = np.bincount(every[rows], minlength=count)
    rows = rows[sizes[every[rows]] >= _LEAST_ROWS_A_CLASS]
    classes = every[rows]
    if len(np.unique(classes)) < 2:
        return Suspects(asked=0, accuracy=0.0, count=0)
    texts = [train.texts[int(row)] for row in rows]
    said = out_of_fold(texts, classes, count=count, seed=seed)
    counted, margin = confident(said, classes), margins(said, classes)
    is_suspect = (counted >= 0) & (counted != classes)
    order = np.flatnonzero(is_suspect)[np.argsort(margin[is_suspect], kind="stable")]
    told = tuple(
        Suspect(
            place=RowPlace(
                split="train",
                row=int(rows[at]),
                label=int(classes[at]),
                text=texts[at][:_SHOWN_CHARACTERS],
            ),
            likely=int(counted[at]),
            given_probability=float(said[at, classes[at]]),
            likely_probability=float(said[at, counted[at]]),
        )
        for at in order[:_MOST_TOLD]
    )
    accuracy = float((said.argmax(1) == classes).mean())
    return Suspects(asked=len(rows), accuracy=accuracy, count=len(order), rows=told)
