"""Files of answers: every column that came in, as it was, then the label and the probabilities.

A file is there whole or not at all, and never in place of what it was made from. While it is
written it has no name, where the system can do that: whatever kills the command leaves nothing.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import math
import os
import shlex
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from datetime import date, datetime, time
from pathlib import Path
from typing import IO, Any, Final, Literal, Protocol

from agnews_cli.errors import BadOutput, CannotWrite, ExtraMissing, NoDiskSpace
from agnews_cli.store.disk import outputs
from agnews_cli.store.disk.space import refusal
from agnews_cli.store.formats.table import ABSENT

AnswerFormat = Literal["csv", "tsv", "jsonl", "parquet"]
SUFFIXES: Final = (".csv", ".tsv", ".jsonl", ".parquet", ".csv.gz", ".tsv.gz", ".jsonl.gz")
_DIGITS = 6
_PIPED = "Leave --out away: then CSV goes to standard output, which can be piped."
_HINT = "Use a folder that is there and that you can write to: --out FOLDER/FILE.csv"


@dataclass(frozen=True, slots=True)
class Target:
    """Where answers go; `path` is real: what a link means, not the link."""

    path: Path
    format: AnswerFormat
    is_packed: bool = False


@dataclass(frozen=True, slots=True)
class Heading:
    """The columns of a file of answers. `kinds`: what the values of each input column are."""

    columns: tuple[str, ...]
    kinds: tuple[str, ...]
    label: str
    probabilities: tuple[str, ...]
    parquet: str = ""
    """The Parquet file that they come from, whose types they keep in Parquet."""

    @property
    def names(self) -> tuple[str, ...]:
        return (*self.columns, self.label, *self.probabilities)


def heading(
    columns: Sequence[str], kinds: Sequence[str], labels: Sequence[str], *, parquet: str = ""
) -> tuple[Heading, str]:
    """(names that differ from each other, a note on those that had to give way)."""
    taken = set(columns)

    def free(name: str, other: str) -> str:
        found, number = (name, 2) if name not in taken else (other, 2)
        while found in taken:
            found, number = f"{other}_{number}", number + 1
        taken.add(found)
        return found

    label = free("label", "predicted_label")
    shares = tuple(free(f"p_{name}", f"predicted_p_{name}") for name in labels)
    moved = [name for name in (label, *shares) if name.startswith("predicted_")]
    shown = ", ".join(moved[:4]) + (", …" if len(moved) > 4 else "")
    note = f"the file has columns of these names: the answers are in {shown}" if moved else ""
    return Heading(tuple(columns), tuple(kinds), label, shares, parquet), note


# ---- where to -----------------------------------------------------------------------------------


def target(out: str, *, sources: Sequence[str] = (), folders: Sequence[Path] = ()) -> Target:
    """What `--out` means, checked: it can be written, and is neither a source nor in `folders`.

    Raises BadOutput, CannotWrite or NoDiskSpace.
    """
    path = outputs.real(out, hint=_PIPED)
    suffixes = "".join(path.suffixes[-2:]).lower()
    is_packed = suffixes.endswith(".gz")
    kind = suffixes.removesuffix(".gz").rpartition(".")[2]
    if kind not in ("csv", "tsv", "jsonl", "parquet") or (is_packed and kind == "parquet"):
        what = f"{path.suffix!r} is none of {', '.join(SUFFIXES)}" if path.suffix else "it has none"
        raise BadOutput(path=out, reason=f"the format goes by the suffix, and {what}")
    if path.exists():
        _refuse_sources(out, path, sources, folders)
    _require_folder(out, path)
    if kind == "parquet":
        _parquet()
    return Target(path, kind, is_packed)  # type: ignore[arg-type]


def _refuse_sources(out: str, path: Path, sources: Sequence[str], folders: Sequence[Path]) -> None:
    for source in sources:
        with suppress(OSError):
            if path.samefile(source):
                raise BadOutput(path=out, reason=f"it is the input file {source} itself")
    if any(path.is_relative_to(os.path.realpath(folder)) for folder in folders):
        raise BadOutput(path=out, reason="it is one of the model's own files")


def _require_folder(out: str, path: Path) -> None:
    """Raises CannotWrite or NoDiskSpace unless a file can really be written there."""
    folder = path.parent
    if not folder.is_dir():
        reason = f"{folder} is {'no folder' if folder.exists() else 'not there'}"
        hint = _HINT if folder.exists() else f"mkdir -p {shlex.quote(str(folder))}"
        raise CannotWrite(path=out, reason=reason, hint=hint)
    try:
        with outputs.nameless(path):
            pass
    except OSError as error:
        raise _refusal(path, error) from error


def _refusal(path: Path, error: OSError) -> CannotWrite | NoDiskSpace:
    refused = refusal(path, error, 0)
    return type(refused)(**refused.facts, hint=_HINT)


# ---- written whole or not at all ----------------------------------------------------------------


@contextmanager
def replaced(path: Path) -> Iterator[IO[bytes]]:
    """A file to write to, which becomes `path` when the block ends well, and nothing otherwise.

    Raises CannotWrite or NoDiskSpace.
    """
    try:
        with outputs.replaced(path) as file:
            yield file
    except OSError as error:
        raise _refusal(path, error) from error


# ---- the formats --------------------------------------------------------------------------------


class Writer(Protocol):
    """Takes rows: the input's values, the label and the probabilities; "" and () for none."""

    def row(self, values: Sequence[object], label: str, shares: Sequence[float]) -> None: ...

    def close(self) -> None:
        """Write what is left; the file itself stays open."""


@contextmanager
def writing(to: Target, head: Heading) -> Iterator[Writer]:
    """A writer to the target, which is there whole when the block ends well.

    Raises CannotWrite or NoDiskSpace.
    """
    with replaced(to.path) as file:
        if to.format == "parquet":
            writer: Writer = _ParquetWriter(file, head)
            yield writer
            writer.close()
            return
        # No name and no time in the header: the same answers are the same bytes.
        packed: AbstractContextManager[Any] = (
            gzip.GzipFile(filename="", fileobj=file, mode="wb", mtime=0)
            if to.is_packed
            else _as_it_is(file)
        )
        with packed as plain:
            text = io.TextIOWrapper(plain, encoding="utf-8", newline="")
            writer = TextWriter(text, head, to.format)
            yield writer
            writer.close()
            text.flush()
            text.detach()


@contextmanager
def _as_it_is(file: IO[bytes]) -> Iterator[IO[bytes]]:
    yield file


class _TextSink(Protocol):
    def write(self, text: str, /) -> int: ...


class TextWriter:
    """CSV, TSV or JSON Lines."""

    def __init__(self, sink: _TextSink, head: Heading, kind: AnswerFormat) -> None:
        self._sink, self._head, self._kind = sink, head, kind
        separator = "\t" if kind == "tsv" else ","
        self._rows = csv.writer(sink, delimiter=separator, lineterminator="\n")
        if kind != "jsonl":
            self._rows.writerow(head.names)

    def row(self, values: Sequence[object], label: str, shares: Sequence[float]) -> None:
        if self._kind == "jsonl":
            self._sink.write(json.dumps(self._record(values, label, shares), ensure_ascii=False))
            self._sink.write("\n")
            return
        given = [f"{share:.{_DIGITS}f}" for share in shares] or [""] * len(self._head.probabilities)
        self._rows.writerow([*map(cell, values), label, *given])

    def _record(
        self, values: Sequence[object], label: str, shares: Sequence[float]
    ) -> dict[str, object]:
        rest: Sequence[float | None] = shares or [None] * len(self._head.probabilities)
        record = {
            name: _jsonable(value)
            for name, value in zip(self._head.columns, values, strict=True)
            if value is not ABSENT
        }
        record[self._head.label] = label or None
        for name, share in zip(self._head.probabilities, rest, strict=True):
            record[name] = share if share is None else round(share, _DIGITS)
        return record

    def close(self) -> None:
        pass


class ArrayWriter:
    """One JSON array: text, label and probabilities of each row, beside its columns."""

    def __init__(
        self, sink: _TextSink, columns: Sequence[str], texts: Sequence[int], labels: Sequence[str]
    ) -> None:
        self._sink, self._columns, self._texts, self._labels = sink, columns, texts, labels
        self._is_first = True

    def row(self, values: Sequence[object], label: str, shares: Sequence[float]) -> None:
        rounded = [round(share, _DIGITS) for share in shares]
        record: dict[str, object] = {
            "text": " ".join(filter(None, (cell(values[number]) for number in self._texts))),
            "label": label or None,
            "probabilities": dict(zip(self._labels, rounded, strict=True)) if shares else None,
        }
        if len(self._columns) > len(self._texts):
            record["columns"] = {
                name: _jsonable(value)
                for name, value in zip(self._columns, values, strict=True)
                if value is not ABSENT
            }
        self._sink.write(("[" if self._is_first else ",") + "\n ")
        self._sink.write(json.dumps(record, ensure_ascii=False))
        self._is_first = False

    def close(self) -> None:
        self._sink.write("[]\n" if self._is_first else "\n]\n")


def cell(value: object) -> str:
    """A value as CSV has it; what is nothing is an empty cell."""
    if isinstance(value, str):
        return value
    if value is None or value is ABSENT or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, list | dict | tuple | bytes):
        return json.dumps(_jsonable(value), ensure_ascii=False)
    return str(value)


def _jsonable(value: object) -> object:
    if value is None or value is ABSENT or isinstance(value, str | bool | int):
        return None if value is ABSENT else value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, list | tuple):
        return [_jsonable(each) for each in value]
    if isinstance(value, dict):
        return {str(key): _jsonable(each) for key, each in value.items()}
    return value.hex() if isinstance(value, bytes) else cell(value)


def _parquet() -> Any:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise ExtraMissing(extra="train", module="pyarrow") from None
    return pyarrow


_ROW_GROUP = 10_000


class _ParquetWriter:
    def __init__(self, file: IO[bytes], head: Heading) -> None:
        arrow = _parquet()
        types = {
            "int": arrow.int64(),
            "float": arrow.float64(),
            "bool": arrow.bool_(),
            "json": arrow.string(),
        }
        kinds = head.kinds
        fields = [
            (name, types.get(kind, arrow.string()))
            for name, kind in zip(head.columns, kinds, strict=True)
        ]
        if head.parquet:
            schema = arrow.parquet.read_schema(head.parquet)
            fields, kinds = [(field.name, field.type) for field in schema], ("",) * len(kinds)
        fields += [(head.label, arrow.string())]
        fields += [(name, arrow.float64()) for name in head.probabilities]
        self._arrow, self._kinds = arrow, kinds
        self._schema = arrow.schema([arrow.field(n, t) for n, t in _different(fields)])
        self._writer = arrow.parquet.ParquetWriter(file, self._schema)
        self._width = len(head.probabilities)
        self._columns: list[list[object]] = [[] for _ in fields]

    def row(self, values: Sequence[object], label: str, shares: Sequence[float]) -> None:
        typed = [_typed(v, k) for v, k in zip(values, self._kinds, strict=True)]
        rest: Sequence[object] = shares or [None] * self._width
        whole = [*typed, label or None, *rest]
        for column, value in zip(self._columns, whole, strict=True):
            column.append(value)
        if len(self._columns[0]) >= _ROW_GROUP:
            self._flush()

    def _flush(self) -> None:
        arrays = [
            self._arrow.array(column, type=field.type)
            for column, field in zip(self._columns, self._schema, strict=True)
        ]
        self._writer.write_table(self._arrow.Table.from_arrays(arrays, schema=self._schema))
        for column in self._columns:
            column.clear()

    def close(self) -> None:
        if self._columns[0]:
            self._flush()
        self._writer.close()


def _typed(value: object, kind: str) -> object:
    """`value` in a column of this kind; "" leaves it to the column's own type."""
    if value is None or value is ABSENT:
        return None
    if kind == "float":
        return float(value)  # type: ignore[arg-type]
    return value if kind in ("int", "bool", "") else cell(value)


def _different(fields: Sequence[tuple[str, Any]]) -> Iterator[tuple[str, Any]]:
    """Readers of Parquet want names that differ: a second `text` is `text_2`."""
    seen: dict[str, int] = {}
    for name, kind in fields:
        seen[name] = seen.get(name, 0) + 1
        yield (name if seen[name] == 1 else f"{name}_{seen[name]}"), kind
