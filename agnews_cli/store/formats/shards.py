"""Several files as one table: the shards of one split, in their order."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from itertools import accumulate, takewhile

from agnews_cli.errors import BadRow, ShardsDiffer
from agnews_cli.store.formats.table import ABSENT, Row, Table


def join(tables: Sequence[Table], *, shards: Sequence[str] = ()) -> Table:
    """The tables one after the other, with the columns of the first, wherever they stand in each.

    `shards`: all paths, also those of tables that a limit leaves out; after a table of which only
    a part is read, none follows. Lines are counted on from shard to shard; `Table.where` leads
    back to the file, as bad rows do by themselves. JSON may lack a column in one shard, as it may
    in one row; raises ShardsDiffer for other formats.
    """
    shards = tuple(shards) or tuple(table.path for table in tables)
    if len(shards) == 1:
        return tables[0]
    whole = list(takewhile(lambda table: table.bytes_read is None, tables))
    tables = tables[: len(whole) + 1]
    first = tables[0]
    columns = first.columns
    if first.form.format in ("json", "jsonl"):
        columns = tuple(dict.fromkeys(name for table in tables for name in table.columns))
    for table in tables[1:]:
        if first.form.format not in ("json", "jsonl") and set(table.columns) != set(columns):
            raise ShardsDiffer(
                path=table.path,
                found=f"the columns {', '.join(table.columns[:12])}",
                first=first.path,
                expected=", ".join(columns[:12]),
            )
    starts = (0, *accumulate(_most_lines(table) for table in tables[:-1]))

    def rows(wanted: Sequence[int]) -> Iterator[Row]:
        names = [columns[i] for i in wanted]
        for table, start in zip(tables, starts, strict=True):
            for line, values in _rows(table, names):
                yield line + start, values

    is_cut = tables[-1].bytes_read is not None or len(tables) < len(shards)
    return Table(
        first.path,
        first.form,
        columns,
        rows,
        hashlib.sha256("".join(table.sha256 for table in tables).encode()).hexdigest(),
        class_names=first.class_names,
        notes=tuple(dict.fromkeys(note for table in tables for note in table.notes)),
        row_hint=first.row_hint,
        size_bytes=sum(table.size_bytes for table in tables),
        shards=shards,
        bytes_read=sum(_read_bytes(table) for table in tables) if is_cut else None,
        doubled=first.doubled,
        starts=starts,
    )


def _rows(table: Table, names: Sequence[str]) -> Iterator[Row]:
    """The values of these columns in this order; ABSENT for a column that the table lacks."""
    here = [name for name in names if name in table.columns]
    at = [here.index(name) if name in here else -1 for name in names]
    rows = table.rows([table.columns.index(name) for name in here])
    if here == list(names):
        yield from rows
        return
    for line, values in rows:
        if not isinstance(values, BadRow):
            values = [values[i] if i >= 0 else ABSENT for i in at]
        yield line, values


def _most_lines(table: Table) -> int:
    """At least as many as it has: what a table counts is exact only after its last row."""
    return table.size_bytes + 1 if table.row_count is None else table.row_count


def _read_bytes(table: Table) -> int:
    return table.size_bytes if table.bytes_read is None else table.bytes_read
