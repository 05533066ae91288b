"""Rows of Parquet and Arrow files, batch by batch, only the columns that are wanted.

Both need pyarrow, of the `train` extra, imported only when such a file is met.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from shutil import copyfileobj
from typing import Any, BinaryIO, Final, Literal, cast

from agnews_cli.core.run.dataset import Form
from agnews_cli.errors import BadParquet, EmptyData, ExtraMissing
from agnews_cli.store.formats.encoding import Look
from agnews_cli.store.formats.source import CHUNK_BYTES, Source
from agnews_cli.store.formats.table import Row, Table

ROW_HINT: Final = "Rows are counted from 1; mend or drop that row, then run the same command again."
_BATCH_ROWS = 1000
_DAMAGE = (OSError, ValueError, KeyError, OverflowError, MemoryError)  # dates, sizes beyond all
_STREAM = b"\xff\xff\xff\xff"  # how a message of an Arrow stream begins


def kind(source: Source) -> Literal["parquet", "arrow", ""]:
    """By content; a file that is called so and is not, is told to be damaged when it is opened."""
    with source.open() as stream:
        head = stream.read(8)
    if head.startswith(b"PAR1") or source.suffix in (".parquet", ".pq"):
        return "parquet"
    is_named = source.suffix in (".arrow", ".feather")
    return "arrow" if head.startswith((b"ARROW1", _STREAM)) or is_named else ""


def table(source: Source, look: Look, form: Form, bytes_at_most: int | None) -> Table:
    """The table. Of a part of the file's bytes, the same part of its rows is read."""
    pyarrow = _library()
    with _opened(source, form, pyarrow) as file:
        columns = tuple(str(name) for name in file.schema.names)
        described = (file.schema.metadata or {}).get(b"huggingface", b"{}")
        row_count = file.row_count
    if not row_count:
        raise EmptyData(path=source.place)
    is_cut = bytes_at_most is not None and bytes_at_most < look.size_bytes
    rows_at_most = row_count
    if bytes_at_most is not None and is_cut:
        rows_at_most = max(1, row_count * bytes_at_most // look.size_bytes)

    def rows(wanted: Sequence[int]) -> Iterator[Row]:
        with _opened(source, form, pyarrow) as file:
            left = rows_at_most
            for batch in file.batches([columns[i] for i in wanted]):
                batch.validate(full=True)  # damaged offsets would end the process, not the reading
                values = [_values(column, pyarrow) for column in batch.slice(0, left).columns]
                first = rows_at_most - left + 1
                left -= batch.num_rows
                if not values:
                    yield from ((at, ()) for at in range(first, first + batch.num_rows))
                yield from enumerate(zip(*values, strict=True), first)
                if left <= 0:
                    return

    return Table(
        source.path,
        form,
        columns,
        rows,
        look.sha256,
        class_names=class_names(described),
        row_hint=ROW_HINT,
        size_bytes=look.size_bytes,
        bytes_read=bytes_at_most if is_cut else None,
        row_count=rows_at_most,
    )


def class_names(described: bytes) -> dict[str, tuple[str, ...]]:
    """Class names that the `datasets` library keeps in the files it writes; else {}."""
    try:
        features = json.loads(described)["info"]["features"]
        return {
            str(column): tuple(str(name) for name in feature["names"])
            for column, feature in features.items()
            if feature.get("_type") == "ClassLabel" and feature.get("names")
        }
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}


def _library() -> Any:
    try:
        import pyarrow
        import pyarrow.ipc
        import pyarrow.parquet
    except ImportError:
        raise ExtraMissing(extra="train", module="pyarrow") from None
    return pyarrow


def _values(column: Any, pyarrow: Any) -> list[object]:
    """Python values. Of times, no more than microseconds: for less, pyarrow wants pandas."""
    types = pyarrow.types
    if types.is_timestamp(column.type) and column.type.unit == "ns":
        column = column.cast(pyarrow.timestamp("us", column.type.tz), safe=False)
    elif types.is_time64(column.type) and column.type.unit == "ns":
        column = column.cast(pyarrow.time64("us"), safe=False)
    return cast(list[object], column.to_pylist())


# ---- the two formats ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Parquet:
    file: Any

    @property
    def schema(self) -> Any:
        return self.file.schema_arrow

    @property
    def row_count(self) -> int:
        return int(self.file.metadata.num_rows)

    def batches(self, names: Sequence[str]) -> Iterator[Any]:
        for batch in self.file.iter_batches(_BATCH_ROWS, columns=list(names)):
            yield batch.select(list(names))  # in this order


@dataclass(frozen=True, slots=True)
class _Arrow:
    """`batches_of` begins anew each time: a stream goes forward only."""

    stream: BinaryIO
    pyarrow: Any

    def _reader(self) -> tuple[Any, bool]:
        self.stream.seek(0)
        is_stream = self.stream.read(6) != b"ARROW1"
        self.stream.seek(0)
        ipc = self.pyarrow.ipc
        return (ipc.open_stream if is_stream else ipc.open_file)(self.stream), is_stream

    @property
    def schema(self) -> Any:
        return self._reader()[0].schema

    @property
    def row_count(self) -> int:
        return sum(batch.num_rows for batch in self._all())

    def batches(self, names: Sequence[str]) -> Iterator[Any]:
        for batch in self._all():
            chosen = batch.select(list(names))
            for at in range(0, chosen.num_rows, _BATCH_ROWS):
                yield chosen.slice(at, _BATCH_ROWS)

    def _all(self) -> Iterator[Any]:
        reader, is_stream = self._reader()
        if is_stream:
            yield from reader
        else:
            yield from map(reader.get_batch, range(reader.num_record_batches))


@contextmanager
def _opened(source: Source, form: Form, pyarrow: Any) -> Iterator[_Parquet | _Arrow]:
    """Turns whatever pyarrow raises for a damaged file into BadParquet."""
    with _seekable(source) as stream:
        try:
            if form.format == "arrow":
                yield _Arrow(stream, pyarrow)
            else:
                yield _Parquet(pyarrow.parquet.ParquetFile(stream, buffer_size=CHUNK_BYTES))
        except (pyarrow.ArrowException, *_DAMAGE) as error:
            reason = str(error).strip().splitlines() or ["it is damaged"]
            kind = form.format.capitalize()
            raise BadParquet(path=source.place, kind=kind, reason=reason[0].rstrip(".")) from None


@contextmanager
def _seekable(source: Source) -> Iterator[BinaryIO]:
    """The file itself, or unpacked on the disk: both formats are read from their ends."""
    with source.open() as stream:
        if not source.compression:
            yield stream
            return
        with tempfile.TemporaryFile() as unpacked:
            copyfileobj(stream, unpacked, CHUNK_BYTES)
            unpacked.seek(0)
            yield unpacked
