"""Rows without labels, in a file of their own, of which a student learns what its teacher says.

Their columns are those of the training data, and their texts are cleaned alike. A row without text
teaches nothing and is left out. Labels that the file may have are never read.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from agnews_cli.core.run.dataset import File, Reading, Rows
from agnews_cli.errors import BadRow, DataChanged, EmptyData
from agnews_cli.store.data import splits
from agnews_cli.store.data.verdicts import file_of
from agnews_cli.store.data.walk import TOLD_ROWS, Told, Walk
from agnews_cli.store.formats.table import Table

_NO_CLASS = -1


def find(
    source: str, reading: Reading, walk: Walk, *, bytes_at_most: int | None, told: Told
) -> tuple[File, Table, str]:
    """The rows at `source` (of a data set its training split), the table, and what to say of them.

    Raises what opening it raises, ColumnMissing, or EmptyData where no row has a text.
    """
    table = splits.look(source, reading, bytes_at_most=bytes_at_most).tables["train"]
    digest, rows, bad = hashlib.sha256(), 0, 0
    for at, text in enumerate(walk.texts(table, digest)):
        if at % TOLD_ROWS == 0:
            told("unlabelled", at)
        is_bad = isinstance(text, BadRow)
        rows, bad = rows + (not is_bad), bad + is_bad
    if not rows:
        raise EmptyData(path=table.place)
    note = f"{rows:,} further texts without labels from {table.place}, for a student's teacher"
    left_out = f"; left out, for they have no text: {bad:,}" if bad else ""
    return file_of(table, rows, table.sha256 or digest.hexdigest()), table, note + left_out


def read(table: Table, file: File, walk: Walk, told: Callable[[int], None]) -> Rows:
    """The texts that `find` counted. Raises DataChanged where the rows are no longer the same."""
    digest, texts = hashlib.sha256(), list[str]()
    for at, text in enumerate(walk.texts(table, digest)):
        if at % TOLD_ROWS == 0:
            told(at)
        if not isinstance(text, BadRow):
            texts.append(text)
    now = table.sha256 or digest.hexdigest()
    if now != file.sha256:
        raise DataChanged(path=table.place, now=now, before=file.sha256)
    return Rows(texts, [_NO_CLASS] * len(texts))
