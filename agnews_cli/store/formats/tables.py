"""Files as tables: column names and raw rows, streamed. The door to everything that reads files.

`open_file` finds out how a file is to be read, `reopen` takes that as given; both give the same
rows and the same SHA-256. What the columns mean is decided in `store.data.datasets`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from agnews_cli.core.run.dataset import Form, Format
from agnews_cli.errors import BadEncoding, ShardsDiffer, UnsupportedFile
from agnews_cli.store.formats import columnar, json_rows, separated
from agnews_cli.store.formats import shards as parts
from agnews_cli.store.formats.encoding import codec_name, hash_of, look, text_of
from agnews_cli.store.formats.headers import OFFICIAL
from agnews_cli.store.formats.hub_rows import hub
from agnews_cli.store.formats.source import TEXT_SUFFIXES, Source, find_source, members
from agnews_cli.store.formats.table import Table

__all__ = ["FORMATS", "OFFICIAL", "hub", "join", "lines", "members", "open_file", "reopen"]

FORMATS: Final[Mapping[str, Format]] = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".jsonl": "jsonl",
    ".parquet": "parquet",
    ".json": "json",
    ".ndjson": "jsonl",
    ".arrow": "arrow",
}
"""What files of a suffix mostly are; the content decides."""
_PLAIN = ("", ".txt", ".text", ".dat", ".data")


def open_file(
    path: str,
    *,
    is_header: Callable[[Sequence[str]], bool],
    encoding: str | None = None,
    header: bool | None = None,
    member: str = "",
    bytes_at_most: int | None = None,
) -> Table:
    """The table in the file at `path`, its form found out by what is in it.

    `is_header`: is this row one of usual column names? `encoding`, `header`: as the user says;
    None: as the file shows. `member`: of a zip archive with several tables. `bytes_at_most`: only
    the rows that end within so many (unpacked) bytes; of Parquet and Arrow the same share of rows.

    Raises a `DataError`, FileMissing, CannotRead, ExtraMissing or UnknownEncoding.
    """
    if encoding is not None:
        codec_name(encoding)
    source = find_source(path, member)
    if kind := columnar.kind(source):
        form = Form(format=kind, compression=source.compression, member=source.member)
        return columnar.table(source, hash_of(source), form, bytes_at_most)
    _refuse_unknown(source)
    source = _first_part(source, bytes_at_most)
    seen = look(source, encoding)
    if json_kind := json_rows.kind(source, seen):
        form = Form(
            format=json_kind,
            compression=source.compression,
            member=source.member,
            encoding=seen.encoding,
        )
        return json_rows.table(source, seen, form)
    form = separated.find_form(source, seen, is_header=is_header, header=header)
    if not form.quoted and form.format == "csv" and source.suffix == "":
        raise UnsupportedFile(path=source.place, suffix="")  # a README
    return separated.table(source, seen, form)


def reopen(
    path: str, form: Form, *, shards: Sequence[str] = (), bytes_read: int | None = None
) -> Table:
    """The table as `open_file`, or `join` of several, gave it: its form is not looked for again."""
    if len(shards) <= 1:
        return _reopened(path, form, bytes_read)
    tables = []
    left = bytes_read
    for shard in shards:
        if left is not None and left <= 0:
            break
        tables.append(_reopened(shard, form, left))
        left = None if left is None else left - tables[-1].size_bytes
    return parts.join(tables, shards=shards)


def join(tables: Sequence[Table]) -> Table:
    """The shards of one split, in order, as one table, read in one form.

    Raises ShardsDiffer where they differ in columns or form, BadEncoding where in encoding.
    """
    form = _common([table.form for table in tables])
    same = [table if table.form == form else _as_the_others(table, form) for table in tables]
    return parts.join(same)


def _common(forms: Sequence[Form]) -> Form:
    """A shard may be too plain to show everything: it may have no quotes, and ASCII only."""
    other = next((form.encoding for form in forms if form.encoding != "utf-8"), "utf-8")
    quoted = all(form.quoted for form in forms)
    return forms[0].model_copy(update={"encoding": other, "quoted": quoted})


def _as_the_others(table: Table, form: Form) -> Table:
    found = table.form
    if (found.format, found.compression) != (form.format, form.compression):
        raise _differs(table, found.format + found.compression, form.format + form.compression)
    if found.encoding != form.encoding and form.encoding != "utf-8-sig":
        try:  # what is ASCII reads the same in the others' encoding
            look(_first_part(Source(table.path, found.compression), table.bytes_read), "ascii")
        except BadEncoding:
            raise _differs(table, found.encoding, form.encoding) from None
    return reopen(table.path, form, bytes_read=table.bytes_read)


def _differs(table: Table, found: str, expected: str) -> ShardsDiffer:
    return ShardsDiffer(
        path=table.path, found=f"the form {found}", first="another part", expected=expected
    )


def _reopened(path: str, form: Form, bytes_read: int | None) -> Table:
    source = Source(path, form.compression, form.member)
    if form.format in ("parquet", "arrow"):
        return columnar.table(source, hash_of(source), form, bytes_read)
    source = _first_part(source, bytes_read)
    seen = look(source, form.encoding)
    if form.format in ("json", "jsonl"):
        return json_rows.table(source, seen, form)
    return separated.table(source, seen, form)


def lines(path: str) -> list[str]:
    """The lines of a small text file, stripped; blank ones stay, so that numbers are physical."""
    source = Source(path)
    seen = look(source)
    with text_of(source, seen) as stream:
        return [line.strip() for line in stream.read().split("\n")]


def _first_part(source: Source, bytes_at_most: int | None) -> Source:
    return Source(source.path, source.compression, source.member, bytes_at_most)


def _refuse_unknown(source: Source) -> None:
    """A suffix that promises something else than a table of text."""
    is_named = not source.compression or source.member
    if is_named and source.suffix not in (*TEXT_SUFFIXES, *_PLAIN):
        suffix = Path(source.member or source.path).suffix
        raise UnsupportedFile(path=source.place, suffix=suffix)
