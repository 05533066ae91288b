"""Whether the classes that a model predicts have come to differ from those of its test rows."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from agnews_cli.core.run.evaluation import Evaluation


@dataclass(frozen=True, slots=True)
class ExpectedClasses:
    """What the model predicted when it was evaluated."""

    shares: tuple[float, ...]
    """Of each class; they sum to one."""
    source: str
    """Of which rows."""


def expected(evaluation: Evaluation | None) -> ExpectedClasses | None:
    """Of the test split, else of the rows that validated; None where neither is known."""
    if evaluation is None:
        return None
    name, split = "test", evaluation.test
    if split is None:
        name, split = "validation", evaluation.validation
    counts = [sum(column) for column in zip(*split.confusion, strict=True)]
    if not sum(counts) or len(counts) != len(evaluation.labels):
        return None
    shares = tuple(count / sum(counts) for count in counts)
    return ExpectedClasses(shares, f"predicted of the {split.rows:,} {name} rows")


class RecentClasses:
    """The classes of the texts that were answered last."""

    def __init__(self, classes: int, most: int = 1_000) -> None:
        self._counts = [0] * classes
        self._order: deque[int] = deque()
        self._most = most

    def add(self, classes: Sequence[int]) -> None:
        for each in classes:
            self._order.append(each)
            self._counts[each] += 1
            if len(self._order) > self._most:
                self._counts[self._order.popleft()] -= 1

    def __len__(self) -> int:
        return len(self._order)

    def shift(self, shares: Sequence[float]) -> float | None:
        """Total variation distance to `shares`: half the sum of what each class's share differs by.

        0 where they are the same, 1 where they have no class in common; the largest difference that
        there is for any set of classes. None before the first text. Of n texts drawn from `shares`
        it is not 0 but about sqrt(classes / n) / 2 or less.
        """
        if not self._order:
            return None
        pairs = zip(self._counts, shares, strict=True)
        return sum(abs(count / len(self._order) - share) for count, share in pairs) / 2
