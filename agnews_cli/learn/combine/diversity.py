"""How differently members err: the figures of `core.run.diversity`, from what they say of rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agnews_cli.core.run.diversity import Diversity, Matrix


def diversity(
    names: Sequence[str], said: NDArray[np.floating], classes: NDArray[np.integer]
) -> Diversity:
    """said: (members, rows, classes); classes: (rows,)."""
    answers = said.argmax(2)
    is_right = answers == classes
    right = is_right.astype(np.float64)
    rows = len(classes)
    # Shares of rows: both right, the first alone, the second alone, both wrong; (members, members).
    a, d = (right @ right.T) / rows, ((1 - right) @ (1 - right).T) / rows
    b, c = (right @ (1 - right).T) / rows, ((1 - right) @ right.T) / rows
    with np.errstate(divide="ignore", invalid="ignore"):
        q = (a * d - b * c) / (a * d + b * c)
        spread = np.sqrt((a + b) * (c + d) * (a + c) * (b + d))
        correlation = (a * d - b * c) / spread
        kappa = _kappa(answers, said.shape[2])
    return Diversity(
        members=tuple(names),
        rows=rows,
        accuracy=tuple(float(share) for share in right.mean(1)),
        disagreement=_matrix(b + c),
        q=_matrix(q),
        correlation=_matrix(correlation),
        kappa=_matrix(kappa),
        entropy=_entropy(is_right),
    )


def _kappa(answers: NDArray[np.integer], count: int) -> NDArray[np.float64]:
    """Cohen's, of each pair: (members, members)."""
    agreed = np.zeros((len(answers), len(answers)))
    chance = np.zeros_like(agreed)
    for number in range(count):
        said = (answers == number).astype(np.float64)
        agreed += said @ said.T / said.shape[1]
        chance += np.outer(said.mean(1), said.mean(1))
    return np.asarray((agreed - chance) / (1 - chance))


def _entropy(is_right: NDArray[np.bool_]) -> float:
    """E of Kuncheva and Whitaker 2003, 2.2.2: of the members that are right, row by row."""
    members = len(is_right)
    if members < 2:
        return 0.0
    right = is_right.sum(0)
    return float((np.minimum(right, members - right) / (members - -(-members // 2))).mean())


def _matrix(values: NDArray[Any]) -> Matrix:
    return tuple(tuple(float(v) if np.isfinite(v) else None for v in row) for row in values)
