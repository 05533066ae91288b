"""Rows in parts, the same share of each class in each: pure functions of the classes and a seed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from agnews_cli.core.run.rows import held

Indices = NDArray[np.int64]
AnyClasses = Sequence[int] | NDArray[np.integer]


def split_off(classes: AnyClasses, *, share: float, seed: int) -> tuple[Indices, Indices]:
    """(training rows, validation rows), stratified: each class gives its share, at least one row.

    A class with a single row keeps it for training.
    """
    rng = np.random.Generator(np.random.PCG64([seed, 0x5711]))
    labels = np.asarray(classes)
    parts: list[Indices] = []
    for number in np.unique(labels):
        rows = rng.permutation(np.flatnonzero(labels == number))
        parts.append(rows[: held(len(rows), share)])
    validation = np.sort(np.concatenate(parts))
    return np.setdiff1d(np.arange(len(labels)), validation), validation


def folds_of(classes: AnyClasses, folds: int, *, seed: int) -> Indices:
    """The fold of each row, (rows,): stratified, and all of about one size."""
    rng = np.random.Generator(np.random.PCG64([seed, 0xC507]))
    labels = np.asarray(classes)
    fold, begun = np.zeros(len(labels), dtype=np.int64), 0
    for number in np.unique(labels):
        rows = rng.permutation(np.flatnonzero(labels == number))
        fold[rows] = (begun + np.arange(len(rows))) % folds
        begun += len(rows)
    return fold


def limit_rows(classes: AnyClasses, rows: int, *, seed: int) -> Indices:
    """`rows` of the training rows, the same share of each class (at least two)."""
    labels = np.asarray(classes)
    if rows >= len(labels):
        return np.arange(len(labels))
    rng = np.random.Generator(np.random.PCG64([seed, 0x1137]))
    kept = []
    for number in np.unique(labels):
        of_class = rng.permutation(np.flatnonzero(labels == number))
        kept.append(of_class[: max(2, round(rows * len(of_class) / len(labels)))])
    return np.sort(np.concatenate(kept))
