"""One table of raw values, whatever it came from: names of columns, and rows that are streamed."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time
from decimal import Decimal
from typing import Final

from agnews_cli.core.run.dataset import Form
from agnews_cli.errors import BadRow

_MOST_SHOWN = 500
"""Characters of what a bad row holds."""
ABSENT: Final = object()
"""The value of a key that a JSON row does not have."""

Row = tuple[int, Sequence[object] | BadRow]
"""(physical line on which it begins, from 1, or number of the row where there are no lines: JSON
documents, Parquet, Arrow, the hub; wanted values).

A row that is not one (too many fields, no JSON) comes as the error that says so: whoever reads
decides whether to raise it, count it or pass it over."""


@dataclass(frozen=True, slots=True)
class Table:
    """One file, or one split of the hub, not yet understood.

    `rows(wanted)` opens it anew at each call and streams the values of the columns with these
    numbers; no more than a few megabytes are in memory at a time. `class_names` holds, per column,
    the names that its integers stand for. `sha256` is that of the file's bytes, of a packed file
    that of what is inside, and `size_bytes` their number; the hub has no file, so there it is empty
    and `store.data.datasets` hashes the rows. `notes` says what was found out about the file
    (separator, encoding). `row_hint` replaces the advice of row errors where "line" would mislead.
    """

    path: str
    form: Form
    columns: tuple[str, ...]
    rows: Callable[[Sequence[int]], Iterator[Row]]
    sha256: str = ""
    part: str = ""
    class_names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    row_hint: str = ""
    size_bytes: int = 0
    shards: tuple[str, ...] = ()
    bytes_read: int | None = None
    doubled: tuple[str, ...] = ()
    """Names that several columns have; the second of `id` is called `id.1`."""
    row_count: int | None = None
    """Where it is known before reading: Parquet, Arrow, the hub."""
    starts: tuple[int, ...] = ()
    """Of several shards: the number before the first line of each, as `rows` counts on."""

    def bad_row(self, line: int, found: str, expected: str) -> BadRow:
        place, line = self.where(line)
        shown = found if len(found) <= _MOST_SHOWN else f"{found[:_MOST_SHOWN]} …"
        return BadRow(path=place, line=line, found=shown, expected=expected, hint=self.row_hint)

    def where(self, line: int) -> tuple[str, int]:
        """What messages call the file, and the line in it, of a line that `rows` told."""
        if not self.starts:
            return self.place, line
        shard = bisect_left(self.starts, line) - 1
        return self.shards[shard], line - self.starts[shard]

    @property
    def place(self) -> str:
        """What messages call it."""
        where = self.part or self.form.member
        return f"{self.path} ({where})" if where else self.path


def spelling(table: Table, column: str, line: int, value: object) -> str | BadRow:
    """A cell as text; "" if there is nothing in it. Lists, objects and bytes are a bad row."""
    if isinstance(value, str):
        return value.strip()
    if value is None or value is ABSENT:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float | Decimal):
        if math.isnan(value):
            return ""
        # A column of integers with a gap somewhere becomes float; money comes as Decimal.
        return str(int(value)) if math.isfinite(value) and value == int(value) else str(value)
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    return table.bad_row(line, f"{column!r} is {kind_of(value)}", "text or a number")


def kind_of(value: object) -> str:
    """What people call this value, with its article."""
    names = {dict: "an object", list: "a list", str: "a text", bool: "a truth value"}
    if value is None:
        return "null"
    return names.get(type(value), "a number" if isinstance(value, int | float) else "binary data")
