"""Texts to be labelled, read by the rules of training: which columns, which rows have none.

A `Sheet` is a table whose text columns are known. It is walked twice: once to count what is wrong
before the model is loaded, and once to predict; both stream.
"""

from __future__ import annotations

import csv
import json
import math
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Final

from agnews_cli.core.run.dataset import Cleaning, Form
from agnews_cli.errors import (
    BadRow,
    ColumnMissing,
    DataError,
    EmptyData,
    RowsWithoutText,
    WrongColumnCount,
)
from agnews_cli.store.data.cleaning import clean
from agnews_cli.store.data.columns import BODY_NAMES, TITLE_NAMES
from agnews_cli.store.formats import tables
from agnews_cli.store.formats.encoding import look, text_of
from agnews_cli.store.formats.source import Source
from agnews_cli.store.formats.table import ABSENT, Row, Table, spelling
from agnews_cli.store.model.delivered import Delivered

STANDARD_INPUT: Final = "-"
_SHOWN = 5
_JSON = re.compile(r"\[\s*\{\s*\"|\{\s*\n\s*\"")  # a list of objects, or one over several lines
_PLAIN = (".txt", ".text")


@dataclass(frozen=True, slots=True)
class AskedTexts:
    """What the user says of a file with texts; the defaults leave it to the run and the file."""

    text_columns: tuple[str, ...] = ()
    header: bool | None = None
    encoding: str | None = None


@dataclass(frozen=True, slots=True)
class Item:
    """One row. `text` is clean, and "" where `problem` says why there is none.

    `values` are those of all columns, as they were; None where the row is none. `label` is the
    spelling in the label column, "" where there is none.
    """

    line: int
    values: Sequence[object] | None
    text: str
    problem: str = ""
    label: str = ""


@dataclass(frozen=True, slots=True)
class Sheet:
    """A table with texts. `texts` and `label` are numbers of columns."""

    table: Table
    texts: tuple[int, ...]
    label: int | None = None
    note: str = ""
    cleaning: Cleaning = "markup"

    def items(self) -> Iterator[Item]:
        """Every row, in order."""
        everything = range(len(self.table.columns))
        for line, values in self.table.rows(everything):
            if isinstance(values, BadRow):
                problem = f"{values.facts['found']}; expected {values.facts['expected']}"
                yield Item(line, None, "", problem)
            else:
                text, problem = self._text(line, values)
                yield Item(line, values, text, problem, self._label(line, values))

    def _text(self, line: int, values: Sequence[object]) -> tuple[str, str]:
        """(clean text, ""), or ("", why there is none)."""
        parts = []
        for number in self.texts:
            name = self.table.columns[number]
            spelt = spelling(self.table, name, line, values[number])
            if isinstance(spelt, BadRow):
                return "", str(spelt.facts["found"])
            parts.append(clean(spelt, self.cleaning))
        text = " ".join(part for part in parts if part)
        if text:
            return text, ""
        return "", _nothing(values[self.texts[0]]) if len(self.texts) == 1 else "empty"

    def _label(self, line: int, values: Sequence[object]) -> str:
        if self.label is None:
            return ""
        spelt = spelling(self.table, self.table.columns[self.label], line, values[self.label])
        names = self.table.class_names.get(self.table.columns[self.label])
        if isinstance(spelt, BadRow):
            return ""
        is_number = names is not None and spelt.isdecimal() and int(spelt) < len(names)
        return names[int(spelt)] if names is not None and is_number else spelt


def _nothing(value: object) -> str:
    if value is ABSENT:
        return "absent"
    if value is None:
        return "null"
    is_nan = not isinstance(value, str) and isinstance(value, float) and math.isnan(value)
    return "NaN" if is_nan else "empty"


# ---- opening ------------------------------------------------------------------------------------


def open_sheet(path: str, model: Delivered, asked: AskedTexts) -> Sheet:
    """The file at `path` with the columns that `model` learnt from, or those asked for.

    Raises what `tables` raises, ColumnMissing and WrongColumnCount.
    """
    if Path(path).suffix.lower() in _PLAIN:
        return choose(lines_of(path, path, asked, model), model, asked)
    return choose(_table(path, model, asked), model, asked)


def in_memory(texts: Sequence[str], model: Delivered) -> Sheet:
    """Texts given one by one; their column is called `text`."""

    def rows(wanted: Sequence[int]) -> Iterator[Row]:
        return ((at, [text] * len(wanted)) for at, text in enumerate(texts, 1))

    table = Table("the texts given", Form(format="csv", header=False), ("text",), rows)
    return Sheet(table, (0,), cleaning=model.cleaning)


def standard_input(stream: IO[bytes], model: Delivered, asked: AskedTexts) -> Sheet:
    """What comes by `stream`: JSON Lines, a table with the run's columns, or a text a line.

    It is kept in memory, where it can be read twice. Raises like `open_sheet`.
    """
    path = _kept(stream)
    try:
        form = _form(path, model, asked)
        if form is None:
            return choose(lines_of(path, "standard input", asked, model), model, asked)
        table = tables.reopen(path, form)
    except DataError as error:  # nobody knows that file in memory by its name
        raise type(error)(**{**error.facts, "path": "standard input"}) from None
    return choose(replace(table, path="standard input"), model, asked)


def _kept(stream: IO[bytes]) -> str:
    """The path of a file in memory, or one without a name, that holds all of `stream`."""
    if hasattr(os, "memfd_create"):
        kept: IO[bytes] = os.fdopen(os.memfd_create("agnews-standard-input"), "w+b")
    else:
        kept = tempfile.TemporaryFile()  # noqa: SIM115
    shutil.copyfileobj(stream, kept)
    kept.flush()
    _kept_files.append(kept)
    return f"/dev/fd/{kept.fileno()}"


_kept_files: list[IO[bytes]] = []
"""What standard input held is read as long as the process lives."""


def _form(path: str, model: Delivered, asked: AskedTexts) -> Form | None:
    """How standard input is written; None for a text a line."""
    with Path(path).open("rb") as file:
        start = file.read(1 << 16)
    if start.startswith(b"PAR1"):
        return Form(format="parquet")
    encoding = look(Source(path), asked.encoding).encoding
    text = start.decode(encoding, "replace").lstrip()
    first = next(iter(text.splitlines()), "")
    if _JSON.match(text) or (first.startswith("{") and _is_object(first)):
        return Form(format="jsonl", encoding=encoding)
    wanted = {name.casefold() for name in asked.text_columns or model.text_columns}
    for separator in ",\t;":
        fields = next(csv.reader([first], delimiter=separator), [])
        is_header = asked.header is not False and not wanted.isdisjoint(
            field.strip().casefold() for field in fields
        )
        is_official = model.text_columns == tables.OFFICIAL[1:] and _is_official(fields)
        if len(fields) > 1 and (is_header or is_official):
            return Form(
                format="tsv" if separator == "\t" else "csv",
                separator=separator,
                encoding=encoding,
                header=is_header,
            )
    return None


def _is_object(line: str) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


def _is_official(fields: Sequence[str]) -> bool:
    return len(fields) == len(tables.OFFICIAL) and fields[0].strip().isdecimal()


def lines_of(path: str, name: str, asked: AskedTexts, model: Delivered) -> Table:
    """A text a line; a first line that is the name of the run's one text column is a header."""
    column = model.text_columns[0] if len(model.text_columns) == 1 else "text"
    source = Source(path)
    seen = look(source, asked.encoding)
    with text_of(source, seen) as lines:
        first = next(lines, "").strip()
    is_header = first.casefold() == column.casefold() if asked.header is None else asked.header

    def rows(wanted: Sequence[int]) -> Iterator[Row]:
        blank = 0
        with text_of(source, seen) as lines:
            for at, line in enumerate(lines, 1):
                if is_header and at == 1:
                    continue
                if not line.strip():
                    blank += 1  # a file may end with some
                    continue
                yield from ((at - n, [""] * len(wanted)) for n in range(blank, 0, -1))
                blank = 0
                yield at, [line.rstrip("\r\n")] * len(wanted)

    form = Form(format="csv", encoding=seen.encoding, quoted=False, header=is_header)
    return Table(name, form, (first if is_header else column,), rows, notes=seen.notes)


def _table(path: str, model: Delivered, asked: AskedTexts) -> Table:
    """The table at `path`; one of texts alone has no header unless its first line is one."""
    wanted = {name.casefold() for name in (*asked.text_columns, *model.text_columns)}

    def is_header(fields: Sequence[str]) -> bool:
        return not wanted.isdisjoint(field.strip().casefold() for field in fields)

    def opened(header: bool | None) -> Table:
        return tables.open_file(path, is_header=is_header, encoding=asked.encoding, header=header)

    table = opened(asked.header)
    is_alone = len(table.columns) == 1 and table.form.format in ("csv", "tsv")
    if is_alone and asked.header is None and table.form.header:
        (name,) = table.columns
        if not is_header([name]) and not _is_usual(name):
            return opened(False)
    return table


def _is_usual(name: str) -> bool:
    return re.sub(r"[^a-z]+", "_", name.casefold()).strip("_") in TITLE_NAMES + BODY_NAMES


# ---- columns ------------------------------------------------------------------------------------


def choose(table: Table, model: Delivered, asked: AskedTexts) -> Sheet:
    """`table` with its columns found. Raises ColumnMissing or WrongColumnCount."""
    texts, why = _text_columns(table, model, asked)
    names = " + ".join(table.columns[number] or "(no name)" for number in texts)
    label = None if model.label_column is None else _number(table, model.label_column)
    return Sheet(
        table,
        texts,
        label=None if label in texts else label,
        note=f"text = {names}, {why}",
        cleaning=model.cleaning,
    )


def _text_columns(table: Table, model: Delivered, asked: AskedTexts) -> tuple[tuple[int, ...], str]:
    """(numbers of the text columns, why these). Raises ColumnMissing or WrongColumnCount."""
    learnt = model.text_columns
    if asked.text_columns:
        if len(asked.text_columns) not in (1, len(learnt)):
            raise WrongColumnCount(
                given=len(asked.text_columns),
                run=model.name,
                expected=len(learnt),
                columns=" + ".join(learnt),
            )
        return tuple(_located(table, name, model) for name in asked.text_columns), "as asked"
    found = [_number(table, name) for name in learnt]
    numbers = tuple(number for number in found if number is not None)
    if len(numbers) == len(learnt):
        return numbers, "as in training" if model.says_columns else "by its name"
    width = len(table.columns)
    if len(learnt) == 1 and width == 1:
        trained = f"; in training it was {learnt[0]}" if model.says_columns else ""
        if table.form.header:
            return (0,), f"the file's only column{trained}"
        return (0,), f"each line is one, the first too{trained}"
    if not table.form.header and width - len(learnt) in (0, 1):
        first = width - len(learnt)  # the official form has the class before the texts
        return tuple(range(first, width)), f"by place, for there is no header; {_trained(learnt)}"
    missing = next(n for n, number in zip(learnt, found, strict=True) if number is None)
    _located(table, missing, model)
    raise AssertionError("unreachable: the column is missing")


def _trained(learnt: Sequence[str]) -> str:
    return f"in training {'they were' if len(learnt) > 1 else 'it was'} {' + '.join(learnt)}"


def _number(table: Table, name: str) -> int | None:
    """Number of the column called `name`: exactly so, else in other case."""
    if name in table.columns:
        return table.columns.index(name)
    folded = [column.casefold() for column in table.columns]
    return folded.index(name.casefold()) if folded.count(name.casefold()) == 1 else None


def _located(table: Table, name: str, model: Delivered) -> int:
    number = _number(table, name)
    if number is None:
        learnt = f"learnt from {' + '.join(model.text_columns)}"
        if not model.says_columns:
            learnt = "does not say what its texts were called"
        raise ColumnMissing(
            path=table.place,
            name=name,
            columns=", ".join(column or "(no name)" for column in table.columns[:12]),
            option="text-column",
            hint=f"{model.origin} {learnt}. Name the column that holds the text here: "
            "--text-column NAME",
        )
    return number


# ---- rows without text --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Count:
    """What a first walk over a sheet finds."""

    rows: int
    bad: int
    first_bad: tuple[tuple[int, str], ...]
    kinds: tuple[str, ...]
    """Of each column, what all its values are: `int`, `float`, `bool`, `str` or `json`."""

    @property
    def lines(self) -> str:
        shown = ", ".join(f"line {line} ({problem})" for line, problem in self.first_bad)
        return shown + (", …" if self.bad > len(self.first_bad) else "")


def count(sheet: Sheet, told: Callable[[int], None] = lambda rows: None) -> Count:
    """Walk over all rows. Raises EmptyData where there is none; `told` hears how many were seen."""
    rows = bad = 0
    first: list[tuple[int, str]] = []
    kinds: list[set[str]] = [set() for _ in sheet.table.columns]
    is_typed = sheet.table.form.format not in ("csv", "tsv")
    for item in sheet.items():
        rows += 1
        if item.problem:
            bad += 1
            if len(first) < _SHOWN:
                first.append((item.line, item.problem))
        if is_typed and item.values is not None:
            for seen, value in zip(kinds, item.values, strict=True):
                seen.add(_kind(value))
        if rows % 10_000 == 0:
            told(rows)
    if not rows:
        raise EmptyData(path=sheet.table.place)
    return Count(rows, bad, tuple(first), tuple(_common(seen) for seen in kinds))


def refuse_bad(sheet: Sheet, found: Count) -> None:
    """Raises RowsWithoutText if there are any."""
    if found.bad:
        raise RowsWithoutText(
            path=sheet.table.place, bad=f"{found.bad:,}", rows=f"{found.rows:,}", lines=found.lines
        )


def _kind(value: object) -> str:
    if value is None or value is ABSENT:
        return ""
    if type(value) is int and not -(1 << 63) <= value < 1 << 63:
        return "json"
    known = {bool: "bool", int: "int", float: "float", str: "str"}
    return known.get(type(value), "json")


def _common(kinds: Iterable[str]) -> str:
    found = set(kinds) - {""}
    if len(found) > 1:
        return "float" if found == {"int", "float"} else "json"
    return next(iter(found), "str")
