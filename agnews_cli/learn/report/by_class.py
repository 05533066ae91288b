"""Precision, recall and F1 of each class with intervals, from a confusion matrix."""

from __future__ import annotations

import math
from collections.abc import Sequence

from agnews_cli.core.report.figures import ClassIntervals
from agnews_cli.core.run.evaluation import Interval
from agnews_cli.learn.figures.accuracy import accuracy


def by_class(
    labels: Sequence[str], confusion: Sequence[Sequence[int]]
) -> tuple[ClassIntervals, ...]:
    """confusion: rows are true classes, columns predicted ones; one entry for each label."""
    found = []
    for number, label in enumerate(labels):
        hits = confusion[number][number]
        rows, answers = sum(confusion[number]), sum(row[number] for row in confusion)
        found.append(
            ClassIntervals(
                label=label,
                rows=rows,
                precision=share(hits, answers),
                recall=share(hits, rows),
                f1=_f1(share(hits, rows + answers - hits)),
            )
        )
    return tuple(found)


def share(hits: int, of: int) -> Interval:
    """With Wilson's interval; of nothing, 0 in [0, 1]."""
    return accuracy(hits, of) if of else Interval(value=0.0, low=0.0, high=1.0, method="wilson")


def _f1(jaccard: Interval) -> Interval:
    """F1 = 2 j / (1 + j) of j = tp / (tp + fp + fn), which grows with it."""

    def of(j: float) -> float:
        return 2 * j / (1 + j) if math.isfinite(j) else 0.0

    return Interval(
        value=of(jaccard.value), low=of(jaccard.low), high=of(jaccard.high), method="wilson"
    )
