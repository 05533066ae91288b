"""Figures of probabilities against true classes, with 95% intervals."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from agnews_cli.core.run.evaluation import ClassFigures, Interval, Mistake, SplitEvaluation
from agnews_cli.learn.figures import macro_f1
from agnews_cli.learn.figures.accuracy import accuracy, calibration_error
from agnews_cli.learn.figures.blend import log_loss

_MISTAKES = 3
_FEW = 0.01  # of the rows: then an accuracy without them would be the same


def evaluate(
    probabilities: NDArray[np.floating],
    classes: NDArray[np.int64],
    labels: Sequence[str],
    texts: Sequence[str] | None = None,
    *,
    chose: bool = False,
    is_in_training: NDArray[np.bool_] | None = None,
) -> SplitEvaluation:
    """probabilities: (rows, classes); classes: (rows,). With `texts` the surest mistakes too.

    `chose`: whether these rows also chose the model; `is_in_training`: (rows,), see `overlap`.
    """
    predicted = probabilities.argmax(1)
    numbers = range(len(labels))
    matrix = confusion(classes, predicted, len(labels))
    hits, said, support = matrix.diagonal(), matrix.sum(0), matrix.sum(1)
    precision, recall = hits / np.maximum(said, 1), hits / np.maximum(support, 1)
    f1 = 2 * hits / np.maximum(said + support, 1)
    low, high = macro_f1.interval(matrix)
    return SplitEvaluation(
        rows=len(classes),
        accuracy=accuracy(int((predicted == classes).sum()), len(classes)),
        macro_f1=Interval(value=macro_f1.macro_f1(matrix), low=low, high=high, method="bootstrap"),
        loss=log_loss(probabilities, classes),
        calibration_error=calibration_error(probabilities, classes),
        classes=tuple(
            ClassFigures(
                label=labels[n],
                precision=float(precision[n]),
                recall=float(recall[n]),
                f1=float(f1[n]),
                rows=int(support[n]),
            )
            for n in numbers
        ),
        confusion=tuple(tuple(int(c) for c in row) for row in matrix),
        mistakes=_mistakes(probabilities, classes, labels, texts) if texts is not None else (),
        chose=chose,
        rows_in_training=0 if is_in_training is None else int(is_in_training.sum()),
        accuracy_without_them=_without(predicted == classes, is_in_training),
    )


def confusion(
    classes: NDArray[np.int64], predicted: NDArray[np.int64], count: int
) -> NDArray[np.int64]:
    """(true, predicted) counts. By hand: importing scikit-learn takes longer than all figures."""
    pairs = np.bincount(classes * count + predicted, minlength=count**2)
    return pairs.reshape(count, count)


def _without(is_right: NDArray[np.bool_], is_in_training: NDArray[np.bool_] | None) -> float | None:
    """Accuracy of the rows that were not in training, where enough were to change it."""
    if is_in_training is None or is_in_training.all():
        return None
    if is_in_training.mean() <= _FEW:
        return None
    return float(is_right[~is_in_training].mean())


def _mistakes(
    probabilities: NDArray[np.floating],
    classes: NDArray[np.int64],
    labels: Sequence[str],
    texts: Sequence[str],
) -> tuple[Mistake, ...]:
    """The rows it got wrong with the most confidence: a bad label or a real weakness."""
    predicted = probabilities.argmax(1)
    wrong = np.flatnonzero(predicted != classes)
    surest = wrong[np.argsort(-probabilities[wrong, predicted[wrong]], kind="stable")]
    return tuple(
        Mistake(
            row=int(row),
            text=texts[row],
            label=labels[classes[row]],
            predicted=labels[predicted[row]],
            probability=float(probabilities[row, predicted[row]]),
        )
        for row in surest[:_MISTAKES]
    )
