"""Columns that are no text and no label: which give the label away, and which tie rows together.

Counted row by row, without keeping any; see `ColumnTally`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from agnews_cli.core.run.dataset import Split

MOST_VALUES: Final = 50_000
"""A column of more is followed no longer: its values are ids, or texts."""
_GROUP_WORDS: Final = frozenset(
    (
        *("user", "author", "patient", "subject", "person", "speaker", "customer", "client"),
        *("account", "owner", "source", "domain", "site", "publisher", "outlet", "url", "link"),
        *("thread", "conversation", "dialog", "dialogue", "session", "group", "product", "item"),
        *("movie", "book", "article", "document", "doc", "page", "question", "event", "family"),
    )
)
_FOLD_WORDS: Final = frozenset({"fold", "folds", "cv"})
_FORMATS = ("%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%Y/%m/%d", "%d %b %Y", "%b %d, %Y")
_DATE_SHARE = 0.95


@dataclass(frozen=True, slots=True)
class ColumnFacts:
    """What a column is. `rows` are those in which it is filled."""

    name: str
    rows: int
    values: int
    """How many different ones; `MOST_VALUES` where there are more."""
    again: int
    """Rows whose value stood in an earlier row."""
    told: int
    """Of those, rows whose label is the commonest so far of rows with that value."""
    commonest: float
    """The share of the commonest label: what knowing nothing tells."""
    shared: dict[Split, float]
    """Of each other split, the share of rows whose value stands in training rows too."""
    first: dict[Split, datetime]
    last: dict[Split, datetime]
    """Of a column of dates."""
    by_value: dict[str, int]
    """Rows of each value, where there are few."""

    @property
    def is_group(self) -> bool:
        """Whether its name says what rows have in common, and several rows have it in common."""
        return bool(_words(self.name) & _GROUP_WORDS) and 2 * self.values <= self.rows

    @property
    def is_fold(self) -> bool:
        return bool(_words(self.name) & _FOLD_WORDS)

    @property
    def is_date(self) -> bool:
        return bool(self.first)


@dataclass(slots=True)
class ColumnTally:
    """Hears the cells of one column, those of the training rows first."""

    name: str
    _of: dict[str, Counter[str]] = field(default_factory=dict)
    _labels: Counter[str] = field(default_factory=Counter)
    _rows: int = 0
    _again: int = 0
    _told: int = 0
    _dates: int = 0
    _first: dict[Split, datetime] = field(default_factory=dict)
    _last: dict[Split, datetime] = field(default_factory=dict)
    _elsewhere: Counter[Split] = field(default_factory=Counter)
    _shared: Counter[Split] = field(default_factory=Counter)
    _is_followed: bool = True

    def add(self, split: Split, cell: str, label: str) -> None:
        """A cell that is not empty."""
        if (moment := moment_of(cell)) is not None:
            self._first[split] = min(moment, self._first.get(split, moment))
            self._last[split] = max(moment, self._last.get(split, moment))
        self._dates += moment is not None
        self._rows += 1
        if split != "train":
            self._elsewhere[split] += 1
            self._shared[split] += cell in self._of
            return
        self._labels[label] += 1
        if not self._is_followed:
            return
        before = self._of.get(cell)
        if before is not None:
            self._again += 1
            self._told += before.most_common(1)[0][0] == label
            before[label] += 1
        elif len(self._of) < MOST_VALUES:
            self._of[cell] = Counter([label])
        else:
            self._is_followed = False

    def facts(self) -> ColumnFacts:
        is_date = self._rows > 0 and self._dates >= _DATE_SHARE * self._rows
        trained = sum(self._labels.values())
        commonest = max(self._labels.values(), default=0) / max(1, trained)
        shared: dict[Split, float] = {}
        if self._is_followed:
            shared = {split: self._shared[split] / rows for split, rows in self._elsewhere.items()}
        return ColumnFacts(
            name=self.name,
            rows=trained,
            values=len(self._of),
            again=self._again,
            told=self._told,
            commonest=commonest,
            shared=shared,
            first=self._first if is_date else {},
            last=self._last if is_date else {},
            by_value={v: c.total() for v, c in self._of.items()} if len(self._of) <= 100 else {},
        )


def moment_of(cell: str) -> datetime | None:
    """A date, or a date and a time, as ISO 8601 has it or as people write it; None for others."""
    if not 8 <= len(cell) <= 40 or not any(sign in cell for sign in "-/. ,"):
        return None
    try:
        return _aware(datetime.fromisoformat(cell))
    except ValueError:
        pass
    for form in _FORMATS:
        try:
            return _aware(datetime.strptime(cell, form))  # noqa: DTZ007
        except ValueError:
            continue
    return None


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _words(name: str) -> set[str]:
    parts = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)
    return {word for word in re.split(r"[\W_\d]+", parts.casefold()) if word}


def tallies(names: Iterable[str]) -> list[ColumnTally]:
    """One for each column."""
    return [ColumnTally(name) for name in names]
