"""Files as tables: column names and raw rows of csv, tsv, jsonl, parquet and the hub, nothing more.

A file is read once: its bytes are hashed, decoded and split in memory, and every failure says where
(path, physical line, byte). What the columns mean is decided in `store.data.datasets`. Parquet and
the hub need libraries of the `train` extra, imported only when such a file is met.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Literal, NoReturn

from agnews_cli.core.dataset import Form, Format
from agnews_cli.errors import (
    BadEncoding,
    BadParquet,
    BadRow,
    CannotRead,
    EmptyData,
    ExtraMissing,
    FileMissing,
    HubRefused,
    HubUnreachable,
    UnsupportedFile,
)
from agnews_cli.store.data.table import ABSENT, Row, Table, kind_of

FORMATS: Final[Mapping[str, Format]] = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".jsonl": "jsonl",
    ".parquet": "parquet",
}
OFFICIAL: Final = ("class", "title", "description")
_LONGEST_FIELD = 10 * 1024 * 1024  # characters; csv's own limit of 131,072 is met by real articles
_MARK = b"\xef\xbb\xbf"  # the byte order mark that some editors and spreadsheets write
_SMALL_INTEGER = re.compile(r"\s*\d{1,3}\s*")
_ROW_HINT = "Rows are counted from 1; mend or drop that row, then run the same command again."


def read(path: str, *, is_header: Callable[[Sequence[str]], bool]) -> Table:
    """The table in the file at `path`.

    `is_header` (is this row one of column names?) is asked only about a first row that begins
    with a small integer, as in the official AG News form, which has no header.
    """
    suffix = Path(path).suffix
    kind = FORMATS.get(suffix.lower())
    if kind is None:
        raise UnsupportedFile(path=path, suffix=suffix)
    data = _bytes(path)
    sha256 = hashlib.sha256(data).hexdigest()
    if not data.strip():
        raise EmptyData(path=path)
    if kind == "parquet":
        return _parquet(path, data, sha256)
    text = decode(path, data)
    if kind == "jsonl":
        return _jsonl(path, text, sha256)
    assert kind in ("csv", "tsv")
    return _separated(path, text, sha256, kind, is_header)


def lines(path: str) -> list[str]:
    """The lines of a small text file, stripped; blank ones stay, so that numbers are physical."""
    return [line.strip() for line in decode(path, _bytes(path)).split("\n")]


def _bytes(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except FileNotFoundError:
        raise FileMissing(path=path) from None
    except OSError as error:
        raise CannotRead(path=path, reason=error.strerror or error) from error


def decode(path: str, data: bytes) -> str:
    """UTF-8 text without its byte order mark. Raises BadEncoding, or BadRow at a NUL byte."""
    mark = len(_MARK) if data.startswith(_MARK) else 0
    try:
        text = data[mark:].decode()
    except UnicodeDecodeError as error:
        at = error.start + mark
        line, position = _place(data, at)
        wide = data[:2] in (b"\xff\xfe", b"\xfe\xff")
        hint = f"It looks like UTF-16: iconv -f UTF-16 -t UTF-8 {path} > fixed.csv" if wide else ""
        raise BadEncoding(
            path=path, line=line, byte=data[at], position=position, hint=hint
        ) from None
    nul = data.find(b"\0")
    if nul >= 0:
        line, position = _place(data, nul)
        raise BadRow(
            path=path,
            line=line,
            found=f"a NUL byte at position {position}",
            expected="text",
            hint="Remove it: tr -d '\\000' < FILE > fixed; or, if every second byte is one, "
            "convert the file from UTF-16.",
        )
    return text


def _place(data: bytes, at: int) -> tuple[int, int]:
    """Line and position in the line, both from 1, of the byte at offset `at`."""
    return data.count(b"\n", 0, at) + 1, at - (data.rfind(b"\n", 0, at) + 1) + 1


# ---- csv and tsv --------------------------------------------------------------------------------


def _separated(
    path: str,
    text: str,
    sha256: str,
    kind: Literal["csv", "tsv"],
    is_header: Callable[[Sequence[str]], bool],
) -> Table:
    if kind == "csv":
        rows = _parse(path, text, ",", csv.QUOTE_MINIMAL)
    else:  # tsv is written both with quotes around fields and with quotes that mean themselves
        try:
            rows = _parse(path, text, "\t", csv.QUOTE_MINIMAL)
        except BadRow:
            rows = _parse(path, text, "\t", csv.QUOTE_NONE)
    if not rows:
        raise EmptyData(path=path)
    line, first = rows[0]
    if len(first) == 1 and (other := re.search(r"[;\t|]", first[0])):
        raise BadRow(
            path=path,
            line=line,
            found=f"one column that contains {other[0]!r}",
            expected=f"columns separated by {'a comma' if kind == 'csv' else 'a tab'}",
            hint="Write the file again with that separator (.csv: comma, .tsv: tab).",
        )
    header = len(first) == 1 or not _SMALL_INTEGER.fullmatch(first[0]) or is_header(first)
    if header:
        columns = tuple(name.strip() for name in first)
        counts = Counter(columns)
        twice = next((name for name in columns if name and counts[name] > 1), None)
        if twice is not None:
            raise BadRow(
                path=path,
                line=line,
                found=f"the column name {twice!r} twice",
                expected="different names",
            )
        del rows[0]
        if not rows:
            raise EmptyData(path=path)
    elif len(first) == 3:
        columns = OFFICIAL
    else:
        texts = ("text",) if len(first) == 2 else tuple(f"text {i}" for i in range(1, len(first)))
        columns = ("class", *texts)
    for at, row in rows:
        if len(row) != len(columns):
            raise BadRow(
                path=path,
                line=at,
                found=_count(len(row), "field"),
                expected=f"{len(columns)} ({', '.join(columns[:12])}{', …' * (len(columns) > 12)})",
            )

    def wanted_rows(wanted: Sequence[int]) -> Iterator[Row]:
        return ((at, [row[i] for i in wanted]) for at, row in rows)

    return Table(path, Form(format=kind, header=header), columns, wanted_rows, sha256)


def _parse(
    path: str, text: str, delimiter: str, quoting: Literal[0, 3]
) -> list[tuple[int, list[str]]]:
    """Every row that is not blank, with the physical line on which it begins."""
    csv.field_size_limit(_LONGEST_FIELD)
    reader = csv.reader(
        io.StringIO(text, newline=""), delimiter=delimiter, quoting=quoting, strict=True
    )
    rows: list[tuple[int, list[str]]] = []
    line = 1
    try:
        for row in reader:
            if row:
                rows.append((line, row))
            line = reader.line_num + 1
    except csv.Error as error:
        why = str(error)
        found = "a quote that is never closed" if "end of data" in why else f"bad quoting ({why})"
        expected = 'a quoted field ends with ", and a quote inside it is doubled: ""'
        if "field limit" in why:
            found, expected = why, f"at most {_LONGEST_FIELD:,} characters in a field"
        raise BadRow(path=path, line=line, found=found, expected=expected) from None
    return rows


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


# ---- jsonl --------------------------------------------------------------------------------------


def _jsonl(path: str, text: str, sha256: str) -> Table:
    records: list[tuple[int, dict[str, object]]] = []
    keys: dict[str, None] = {}
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        record = _json(path, number, line)
        records.append((number, record))
        keys.update(dict.fromkeys(record))
    if not keys:
        raise EmptyData(path=path)
    columns = tuple(keys)

    def wanted_rows(wanted: Sequence[int]) -> Iterator[Row]:
        names = [columns[i] for i in wanted]
        return ((at, [record.get(n, ABSENT) for n in names]) for at, record in records)

    return Table(path, Form(format="jsonl"), columns, wanted_rows, sha256)


def _json(path: str, number: int, line: str) -> dict[str, object]:
    expected = 'one JSON object per line, such as {"label": "sports", "text": "…"}'
    try:
        record: object = json.loads(line)
    except json.JSONDecodeError as error:
        found = f"not JSON ({error.msg} at character {error.colno})"
        raise BadRow(path=path, line=number, found=found, expected=expected) from None
    except (ValueError, RecursionError) as error:  # endless digits, endless nesting
        raise BadRow(path=path, line=number, found=f"{error}", expected=expected) from None
    if not isinstance(record, dict):
        found = kind_of(record)
        raise BadRow(path=path, line=number, found=found, expected=expected)
    if "\\u" in line:
        try:
            json.dumps(record, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            found = "half a surrogate pair (\\ud800 to \\udfff)"
            raise BadRow(path=path, line=number, found=found, expected="whole characters") from None
    return record


# ---- parquet ------------------------------------------------------------------------------------


def _parquet(path: str, data: bytes, sha256: str) -> Table:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise ExtraMissing(extra="train", module="pyarrow") from None
    with _parquet_errors(path, pyarrow):
        file = parquet.ParquetFile(pyarrow.BufferReader(data))
        columns = tuple(str(name) for name in file.schema_arrow.names)
        described = (file.schema_arrow.metadata or {}).get(b"huggingface", b"{}")
        count = file.metadata.num_rows
    if not count:
        raise EmptyData(path=path)

    def wanted_rows(wanted: Sequence[int]) -> Iterator[Row]:
        with _parquet_errors(path, pyarrow):
            table = file.read(columns=[columns[i] for i in wanted])
            values = [table.column(columns[i]).to_pylist() for i in wanted]
        return iter(list(enumerate(zip(*values, strict=True), 1)))

    names = _described_classes(described)
    return Table(
        path,
        Form(format="parquet"),
        columns,
        wanted_rows,
        sha256,
        class_names=names,
        row_hint=_ROW_HINT,
    )


def _described_classes(described: bytes) -> dict[str, tuple[str, ...]]:
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


@contextmanager
def _parquet_errors(path: str, pyarrow: Any) -> Iterator[None]:
    """Turns whatever pyarrow raises for a damaged file into BadParquet."""
    try:
        yield
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        reason = str(error).strip().splitlines() or ["it is damaged"]
        raise BadParquet(path=path, reason=reason[0].rstrip(".")) from None


# ---- the hub ------------------------------------------------------------------------------------


def hub(name: str) -> dict[str, Table]:
    """The splits of a data set on the Hugging Face hub, downloaded or from the local cache."""
    try:
        import datasets
    except ImportError:
        raise ExtraMissing(extra="train", module="datasets") from None
    if not _answers() and not _cached(name):
        _unreachable(name)  # load_dataset would find out too, after 24 s of retries on stderr
    shown = datasets.is_progress_bar_enabled()
    datasets.disable_progress_bars()  # only cli.output prints
    try:
        found = datasets.load_dataset(name)
    except Exception as error:  # the libraries below raise dozens of kinds
        _refuse(name, error)
    finally:
        if shown:
            datasets.enable_progress_bars()
    return {str(split): _hub_table(name, str(split), found[split]) for split in found}


def _hub_table(name: str, part: str, rows: Any) -> Table:
    columns = tuple(str(column) for column in rows.column_names)

    def wanted_rows(wanted: Sequence[int]) -> Iterator[Row]:
        names = [columns[i] for i in wanted]
        values = rows.select_columns(names)[:]
        return iter(list(enumerate(zip(*(values[n] for n in names), strict=True), 1)))

    if not len(rows):
        raise EmptyData(path=f"{name} ({part})")
    classes = {
        column: tuple(str(n) for n in feature.names)
        for column, feature in rows.features.items()
        if type(feature).__name__ == "ClassLabel" and feature.names
    }
    hint = "Choose another data set, or save this one to a file, mend that row and name the file."
    return Table(
        name,
        Form(format="hub"),
        columns,
        wanted_rows,
        part=part,
        class_names=classes,
        row_hint=hint,
    )


def _answers() -> bool:
    from huggingface_hub import constants, get_session

    if constants.HF_HUB_OFFLINE:
        return False
    try:
        get_session().head(constants.ENDPOINT, timeout=constants.HF_HUB_ETAG_TIMEOUT)
    except Exception:  # requests or httpx, by version
        return False
    return True


def _cached(name: str) -> bool:
    from datasets import config

    def same(folder: str) -> str:  # the cache's folder is in snake case, with ___ for the slash
        return folder.replace("_", "").replace("/", "").casefold()

    cache = Path(config.HF_DATASETS_CACHE)
    return cache.is_dir() and any(same(folder.name) == same(name) for folder in cache.iterdir())


def _unreachable(name: str, error: Exception | None = None) -> NoReturn:
    from huggingface_hub import constants

    raise HubUnreachable(
        what=repr(name),
        endpoint=constants.ENDPOINT,
        timeout_s=float(constants.HF_HUB_ETAG_TIMEOUT),
    ) from error


def _refuse(name: str, error: Exception) -> NoReturn:
    kinds = {kind.__name__ for kind in type(error).__mro__}
    if kinds & {"ConnectionError", "TimeoutError", "TransportError", "OfflineModeIsEnabled"}:
        _unreachable(name, error)
    said = [line.strip() for line in str(error).splitlines() if line.strip()]
    raise HubRefused(what=repr(name), reason=said[0] if said else type(error).__name__) from error
