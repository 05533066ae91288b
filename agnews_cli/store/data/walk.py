"""Rows as labels and texts: the one way in which the rows of every split are walked."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from agnews_cli.core.run.dataset import Cleaning, Split
from agnews_cli.errors import BadRow, EmptyData
from agnews_cli.store.data.cleaning import clean
from agnews_cli.store.data.columns import Columns, locate, split_said
from agnews_cli.store.data.labels import NOTHING_WORDS, Labels, canonical, spelt
from agnews_cli.store.formats.table import Table, spelling

SAME_COLUMNS: Final = (
    "Every split needs the columns of the training data: mend this one, or name the training file "
    "alone."
)
TOLD_ROWS: Final = 20_000
_SHOWN_ROWS = 5  # bad ones, in a message
_LONGER = 40  # than any entity or word for nothing

Told = Callable[[str, int], None]
"""Hears (split, rows read so far) now and then; it may raise to stop."""


Keep = Callable[[Split, str, str], None]
"""Takes the split, clean text and label of a row."""


def nobody(split: str, rows: int) -> None:
    pass


@dataclass(slots=True)
class Walk:
    """How the rows of every split become labels and texts."""

    columns: Columns
    cleaning: Cleaning

    def rows(self, table: Table, split: Split, digest: Digest | None = None) -> Iterator[Row]:
        """Every row of the table; those that come without a file also go into `digest`."""
        hint = "" if split == "train" else SAME_COLUMNS
        chosen, label_at = self.columns, locate(table, self.columns.label, "label-column", hint)
        wanted = [label_at, *(locate(table, text, "text-column", hint) for text in chosen.texts)]
        if chosen.split is not None:
            wanted.append(table.columns.index(chosen.split))
        names = table.class_names.get(table.columns[label_at])
        count = 1 + len(chosen.texts)
        digest = None if table.sha256 else digest
        met: dict[str, tuple[str, str] | BadRow] = {}
        for line, values in table.rows(wanted):
            if isinstance(values, BadRow):
                yield line, values, (), None
                continue
            if digest is not None:
                digest.update(json.dumps(list(values), default=str).encode())
            value = values[0]
            label = met.get(value) if isinstance(value, str) else None
            if label is None:
                label = _label(table, chosen.label, line, value, names)
                if isinstance(value, str) and not isinstance(label, BadRow):
                    met[value] = label
            where = str(values[count]).strip() if chosen.split is not None else None
            yield line, label, values[1:count], where

    def texts(self, table: Table, digest: Digest | None = None) -> Iterator[str | BadRow]:
        """Of every row the clean text, whatever its label; of rows without a file as `rows`."""
        wanted = [locate(table, text, "text-column", SAME_COLUMNS) for text in self.columns.texts]
        for line, values in table.rows(wanted):
            if isinstance(values, BadRow):
                yield values
                continue
            if digest is not None and not table.sha256:
                digest.update(json.dumps(list(values), default=str).encode())
            yield self.text(table, line, values)

    def whether_text(self, table: Table, line: int, cells: Sequence[object]) -> bool | BadRow:
        """BadRow where the row has no text; else whether it is but a program's word for nothing."""
        for cell in cells:
            if isinstance(cell, str) and len(cell) > _LONGER and cell[0].isalnum():
                return False  # the usual row: no cleaning takes its first word away
        text = self.text(table, line, cells)
        return text if isinstance(text, BadRow) else text.casefold() in NOTHING_WORDS

    def text(self, table: Table, line: int, cells: Sequence[object]) -> str | BadRow:
        """The row's clean text, several columns joined by a space."""
        parts = []
        for name, cell in zip(self.columns.texts, cells, strict=True):
            part = spelling(table, name, line, cell)
            if isinstance(part, BadRow):
                return part
            if part and (part := clean(part, self.cleaning)):
                parts.append(part)
        if parts:
            return " ".join(parts)
        return table.bad_row(
            line, f"no text in {' + '.join(self.columns.texts)}", "at least a word"
        )


Row = tuple[int, tuple[str, str] | BadRow, Sequence[object], str | None]
"""(line, (label, as it is spelt) or what is wrong, cells of the text, cell that names the split)"""


class Digest(Protocol):
    def update(self, data: bytes, /) -> None: ...


def _label(
    table: Table, column: str, line: int, value: object, names: Sequence[str] | None
) -> tuple[str, str] | BadRow:
    as_spelt = spelt(table, column, line, value)
    if isinstance(as_spelt, BadRow):
        return as_spelt
    label = canonical(as_spelt)
    if not label:
        return table.bad_row(line, f"no label in {column!r}", "a class name or number")
    if names is not None and not (label.isdecimal() and int(label) < len(names)):
        return table.bad_row(line, f"{column!r} is {label}", f"a number from 0 to {len(names) - 1}")
    return label, as_spelt


@dataclass(slots=True)
class Scan:
    """What one pass over a split found."""

    table: Table
    labels: Labels = field(default_factory=Labels)
    split_values: set[str] = field(default_factory=set)
    bad: list[BadRow] = field(default_factory=list)
    """The first of them."""
    bad_count: int = 0
    nothings: int = 0
    """Texts that are a program's word for an empty cell."""
    sha256: str = ""

    @property
    def rows(self) -> int:
        return sum(self.labels.rows.values()) + self.bad_count

    def refuse(self, row: BadRow) -> None:
        self.bad_count += 1
        if len(self.bad) < _SHOWN_ROWS:
            self.bad.append(row)

    @property
    def bad_rows(self) -> str:
        """`line 2: no text in text; line 9: …; and 3 more`."""
        shown = [f"line {row.facts['line']}: {row.facts['found']}" for row in self.bad]
        more = self.bad_count - len(shown)
        return "; ".join(shown) + (f"; and {more:,} more" if more else "")


def scan(table: Table, walk: Walk, split: Split, told: Told, keep: Keep) -> dict[Split, Scan]:
    """One pass over a table that is `split`, or over one whose rows say which split is theirs.

    `keep` is handed the clean text and the label of every row that is good.
    """
    scans: dict[Split, Scan] = {split: Scan(table)}
    digest = hashlib.sha256()
    for at, (line, label, cells, where) in enumerate(walk.rows(table, split, digest)):
        if at % TOLD_ROWS == 0:
            told(split, at)
        of, scan = split, scans[split]
        if where is not None:
            of_row = split_said(walk.columns.split or "", where)
            if of_row is None:
                scan.refuse(table.bad_row(line, f"the split {where!r}", "train, validation, test"))
                continue
            of, scan = of_row, scans.setdefault(of_row, Scan(table))
            scan.split_values.add(where)
        if isinstance(label, BadRow):
            scan.refuse(label)
        elif isinstance(text := walk.text(table, line, cells), BadRow):
            scan.refuse(text)
        else:
            scan.labels.add(*label, line)
            scan.nothings += len(text) <= _LONGER and text.casefold() in NOTHING_WORDS
            keep(of, text, label[0])
    for scan in scans.values():
        scan.sha256 = table.sha256 or digest.hexdigest()
        scan.labels.join_truths()
        if not scan.rows:
            raise EmptyData(path=table.place)
    return scans
