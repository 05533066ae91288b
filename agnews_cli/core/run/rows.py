"""How many rows of each class are used, held out or dealt to folds: which ones, others draw."""

from __future__ import annotations

from collections.abc import Sequence

from agnews_cli.core.run.dataset import Dataset
from agnews_cli.core.run.work import RowChoice

LEAST_ROWS = 2
"""Of each class: one to train on, one to validate with."""
MOST_VERIFIED = 2000
"""Rows on which what was exported is verified."""


def drawn(class_rows: Sequence[int], limit: int | None) -> tuple[int, ...]:
    """Rows of each class where `limit` are used in all: each class its share, two at least."""
    total = sum(class_rows)
    if limit is None or limit >= total:
        return tuple(class_rows)
    least = [min(rows, LEAST_ROWS) for rows in class_rows]
    shares = [limit * rows / total for rows in class_rows]
    quotas = [max(few, int(share)) for few, share in zip(least, shares, strict=True)]
    by_need = sorted(range(len(quotas)), key=lambda n: quotas[n] - shares[n])
    for number in by_need:  # what rounding left over goes to those who are furthest below
        if sum(quotas) < limit and quotas[number] < class_rows[number]:
            quotas[number] += 1
    for number in sorted(range(len(quotas)), key=lambda n: -quotas[n]):  # and back where few had
        over = sum(quotas) - limit
        if over > 0:
            quotas[number] -= min(over, quotas[number] - least[number])
    return tuple(quotas)


def held(rows: int, share: float) -> int:
    """How many of a class's rows validate: its share, at least one, never all."""
    return min(rows - 1, max(1, round(share * rows)))


def trainings(rows: RowChoice, data: Dataset) -> tuple[int, ...]:
    """How many rows each training of one work is on: one, or those of the folds and then of all."""
    classes = drawn([n for n in data.train.class_rows if n] or [data.train.rows], rows.limit)
    every = sum(classes)
    if rows.fold is not None and rows.folds is not None:
        return (every - _dealt(every, rows.fold, rows.folds),)
    if data.validation is not None:
        return (every,)
    folds = rows.data.folds(every)
    if folds:
        return (*(every - _dealt(every, k, folds) for k in range(folds)), every)
    share = rows.data.held_share(every)
    return (every - sum(held(n, share) for n in classes),)


def validating(rows: RowChoice, data: Dataset) -> tuple[int, ...]:
    """How many rows validate each of `trainings`; what is trained on all rows after folds: none."""
    each = trainings(rows, data)
    if data.validation is not None and rows.fold is None:
        return (data.validation.rows,)
    every = sum(drawn([n for n in data.train.class_rows if n] or [data.train.rows], rows.limit))
    return tuple(every - trained for trained in each)


def _dealt(rows: int, fold: int, folds: int) -> int:
    """Rows are dealt to the folds one by one."""
    return rows // folds + (fold < rows % folds)
