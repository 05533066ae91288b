"""Texts that stand more than once in a data set, found while its rows are read for the first time.

Only what costs microseconds a row: texts whose letters and digits are the same. What is nearly the
same `agnews check` finds.
"""

from __future__ import annotations

import shlex
from collections import Counter

from agnews_cli.core.text.same_text import digest

_MOST_ROWS = 500_000
"""Of more, the table of what was seen would take more memory than all else that reads."""


_SAYS = " says which"


def is_told_better(warning: str) -> bool:
    """Whether `agnews check` says the same with more behind it."""
    return warning.endswith(_SAYS)


class RepeatedTexts:
    """Hears of every good row, the training rows first."""

    def __init__(self) -> None:
        self._first: dict[int, tuple[str, str]] = {}
        self._again: Counter[tuple[str, str]] = Counter()
        """Rows by their split and that of the first row of the same text."""
        self._contradicting = 0

    def see(self, split: str, text: str, label: str) -> None:
        number = digest(text)
        first = self._first.get(number)
        if first is not None:
            self._again[split, first[0]] += 1
            self._contradicting += label != first[1]
        elif len(self._first) < _MOST_ROWS:
            self._first[number] = (split, label)

    def notes(self) -> list[str]:
        """What is worth knowing."""
        again = self._again["train", "train"]
        return [f"{_rows(again, 'training')} the text of another one"] if again else []

    def warnings(self, source: str) -> list[str]:
        """What makes figures wrong, or training worse. `source`: the data, as they were given."""
        which = f": agnews check {shlex.quote(source)}{_SAYS}"
        found = []
        for split in ("validation", "test"):  # where a column says it, either may come first
            if shared := self._again[split, "train"] + self._again["train", split]:
                found.append(
                    f"{_rows(shared, split)} the text of a training row, which says nothing of "
                    f"new texts{which}"
                )
        if self._contradicting:
            found.append(
                f"{_rows(self._contradicting)} the text of another row and another label{which}"
            )
        return found


def _rows(count: int, of: str = "") -> str:
    rows = f"{of} row".strip() + "s" * (count != 1)
    return f"{count:,} {rows} {'has' if count == 1 else 'have'}"
