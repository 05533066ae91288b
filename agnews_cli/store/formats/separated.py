"""Rows of files whose fields are separated: by comma, semicolon, tab or bar, in quotes or not."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from operator import itemgetter
from typing import Final, Literal

from agnews_cli.core.run.dataset import Form
from agnews_cli.errors import BadRow, EmptyData
from agnews_cli.store.formats.encoding import Look, refuse_endless_lines, text_of
from agnews_cli.store.formats.headers import default_names, has_header, unique
from agnews_cli.store.formats.source import Source
from agnews_cli.store.formats.table import Row, Table

_LONGEST_FIELD = 10 * 1024 * 1024  # characters; csv's own limit of 131,072 is met by real articles
_MOST_COLUMNS = 100_000
_SEPARATORS: Final = {".tsv": "\t,;|", ".tab": "\t,;|", ".psv": "|,\t;", ".csv": ",;\t|"}
_MARK = "\ufeff"
_NOWHERE = "\x1f"  # separates nothing that people write: each line is one field
_LABEL = "__label__"  # fastText's form: labels and text in a line, no separator
_LABELLED = re.compile(r"((?:__label__[^\s,;]+\s+)+)(\S.*)")
_EXCEL = re.compile(r'"?sep=(.)"?\s*', re.I)
_HEAD_ROWS = 200
_MOST_LINES_ABOVE = 10
_ENOUGH_BAD_ROWS = 1000  # to know that something else is meant
_HEAD_CHARACTERS = (1 << 18, 1 << 22, 1 << 24)  # more only where that holds no two rows
_SEPARATED = 0.8  # share of rows with as many fields as the first, to take a .txt for a table

_Parsed = Iterator[tuple[int, list[str] | BadRow]]


def table(source: Source, look: Look, form: Form) -> Table:
    """The table, its form given."""
    head = _head(source, look, form)
    (line, first), below = head[0], [row for _, row in head[1:]]
    if form.header:
        if not below and not _has_bad_rows(source, look, form):
            raise EmptyData(path=source.place)
        columns, doubled = unique(_names(first, below, form.separator))
        notes = [
            f"the column name {name!r} stands more than once (line {line})" for name in doubled
        ]
    else:
        is_labelled = form.separator == _LABEL
        columns = ("label", "text") if is_labelled else default_names(first, below)
        doubled = ()
        notes = [f"no header, read as {', '.join(columns[:8])}{', …' * (len(columns) > 8)}"]

    def rows(wanted: Sequence[int]) -> Iterator[Row]:
        return _rows(source, look, form, columns, wanted)

    return Table(
        source.path,
        form,
        columns,
        rows,
        look.sha256,
        notes=(*_told(form, source.suffix), *look.notes, *notes),
        size_bytes=look.size_bytes,
        bytes_read=source.bytes_at_most if look.is_cut else None,
        doubled=doubled,
    )


def find_form(
    source: Source,
    look: Look,
    *,
    is_header: Callable[[Sequence[str]], bool],
    header: bool | None,
) -> Form:
    """Separator, quoting, header: as the first rows show them."""
    refuse_endless_lines(source, look)
    text, is_whole = _beginning(source, look)
    if _are_labelled(text):
        return Form(
            format="csv",
            compression=source.compression,
            member=source.member,
            encoding=look.encoding,
            separator=_LABEL,
            header=False,
        )
    skipped, separator = 0, ""
    if named := _EXCEL.fullmatch(text.split("\n", 1)[0]):
        skipped, separator = 1, named[1]
        text = text.split("\n", 1)[1] if "\n" in text else ""
    if not separator and (above := _lines_above(text, is_whole)):
        skipped, text = above, text.split("\n", above)[above]
    separator = separator or _separator(text, is_whole, source.suffix)
    form = Form(
        format="tsv" if separator == "\t" else "csv",
        compression=source.compression,
        member=source.member,
        encoding=look.encoding,
        separator=separator,
        quoted=separator != _NOWHERE,
        skipped_lines=skipped,
    )
    form = _with_quotes(source, look, form)
    if header is None:
        head = [row for _, row in _head(source, look, form)]
        header = has_header(head[0], head[1:], is_header)
    return form.model_copy(update={"header": header})


def _told(form: Form, suffix: str) -> tuple[str, ...]:
    above = f"{_count(form.skipped_lines, 'line')} above the table left out"
    return (*([above] if form.skipped_lines else []), *_told_separator(form, suffix))


def _told_separator(form: Form, suffix: str) -> tuple[str, ...]:
    usual = {".tsv": "\t", ".tab": "\t", ".psv": "|"}.get(suffix, ",")
    words = {
        ";": "semicolon",
        "\t": "tab",
        ",": "comma",
        "|": "bar (|)",
        _NOWHERE: "",
        _LABEL: _LABEL,
    }
    if form.separator == usual:
        return ()
    word = words.get(form.separator, repr(form.separator))
    return (f"separator: {word}" if word else "each line is one text",)


# ---- separator and quotes -----------------------------------------------------------------------


def _beginning(source: Source, look: Look) -> tuple[str, bool]:
    """Some text that holds two rows or more, if the file does, and whether that is all."""
    for most in _HEAD_CHARACTERS:
        with text_of(source, look) as stream:
            text = stream.read(most)
            is_whole = not stream.read(1) and not look.is_cut
        if is_whole or len(text.splitlines()) > 2:
            break
    return text, is_whole


def _separator(text: str, is_whole: bool, suffix: str) -> str:
    known = _SEPARATORS.get(suffix)
    candidates = known or "\t,;|"
    shares = {sep: _share(text, sep, is_whole) for sep in candidates}
    best = max(candidates, key=lambda sep: shares[sep])  # the first of equal ones
    if known:
        return best if shares[best] else known[0]
    if shares[best] < _SEPARATED or (best == "," and _is_prose(text)):
        return _NOWHERE
    return best


def _are_labelled(text: str) -> bool:
    lines = [line.strip() for line in text.split("\n")[:_HEAD_ROWS] if line.strip()]
    return (
        bool(lines)
        and _LABELLED.fullmatch(lines[0]) is not None
        and (sum(line.startswith(_LABEL) for line in lines) >= _SEPARATED * len(lines))
    )


def _labelled(line: str) -> list[str]:
    """[label, text]; several labels are one list, which is refused later."""
    found = _LABELLED.fullmatch(line.strip())
    if found is None:
        return ["", line.strip()]
    labels = [word.removeprefix(_LABEL) for word in found[1].split()]
    return [labels[0] if len(labels) == 1 else str(labels), found[2]]


def _lines_above(text: str, is_whole: bool) -> int:
    """How many lines stand above a table: a title, remarks, what an export says of itself.

    They have one field, or nothing in the others, where all that follows has several.
    """
    if any(_is_table(_split(text, separator, True, is_whole)) for separator in ",;\t|"):
        return 0
    lines = text.split("\n", _MOST_LINES_ABOVE + 1)
    for separator in ",;\t|":
        above = 0
        while above < len(lines) - 1 and _is_above(lines[above], separator):
            above += 1
        if 0 < above <= _MOST_LINES_ABOVE and any(line.strip() for line in lines[:above]):
            rest = _split("\n".join(lines[above:]), separator, True, is_whole)
            if len(rest) > 1 and _is_table(rest):
                return above
    return 0


def _is_table(rows: Sequence[Sequence[str]]) -> bool:
    return _same(rows) >= _SEPARATED and sum(bool(cell.strip()) for cell in rows[0]) > 1


def _is_above(line: str, separator: str) -> bool:
    """A quoted field may go on in the next line, and is none."""
    first, _, others = line.strip().partition(separator)
    return '"' not in line and bool(first or not others) and not others.strip(separator + " ")


def _share(text: str, separator: str, is_whole: bool) -> float:
    """Of the rows, those that have as many fields as the first; 0 if it has but one."""
    both = [True] if separator == "," else [True, False]
    return max(_same(_split(text, separator, quoted, is_whole)) for quoted in both)


def _same(rows: Sequence[Sequence[str]]) -> float:
    if not rows or len(rows[0]) < 2:
        return 0.0
    return sum(len(row) == len(rows[0]) for row in rows) / len(rows)


def _split(text: str, separator: str, quoted: bool, is_whole: bool) -> list[list[str]]:
    """The first rows; the last is left out where the text stops in its midst."""
    csv.field_size_limit(_LONGEST_FIELD)
    rows: list[list[str]] = []
    reader = csv.reader(
        io.StringIO(text, newline=""), delimiter=separator, quoting=_quoting(quoted)
    )
    try:
        for row in reader:
            if not _is_blank(row):
                rows.append(row)
            if len(rows) > _HEAD_ROWS:
                break
    except csv.Error:
        return rows
    return rows if is_whole or len(rows) < 2 else rows[:-1]


def _is_prose(text: str) -> bool:
    """Whether commas stand as in sentences, with a space behind."""
    commas = text.count(",")
    return text.count(", ") > 0.2 * commas


def _with_quotes(source: Source, look: Look, form: Form) -> Form:
    """What quotes mean: whatever leaves the fewest bad rows, the usual where that is equal."""
    others = []
    if look.has_escapes and form.quoted:
        others.append(form.model_copy(update={"escaped": True}))
    if look.has_quotes and form.separator != "," and form.quoted:
        others.append(form.model_copy(update={"quoted": False}))
    if not others or not _bad_rows(source, look, form, most=1):
        return form
    fewest = _bad_rows(source, look, form, most=_ENOUGH_BAD_ROWS)
    for other in others:
        wrong = _bad_rows(source, look, other, most=fewest)
        if wrong < fewest:
            form, fewest = other, wrong
    return form


def _bad_rows(source: Source, look: Look, form: Form, most: int) -> int:
    """How many rows are none or have not as many fields as the first; at most `most`."""
    width, wrong = 0, 0
    for _, row in _parsed(source, look, form):
        if isinstance(row, BadRow):
            wrong += 1
        else:
            width = width or len(row)
            wrong += len(row) != width
        if wrong == most:
            break
    return wrong


def _has_bad_rows(source: Source, look: Look, form: Form) -> bool:
    return any(isinstance(row, BadRow) for _, row in _parsed(source, look, form))


# ---- rows ---------------------------------------------------------------------------------------


def _head(source: Source, look: Look, form: Form) -> list[tuple[int, list[str]]]:
    """The first rows that can be read. Raises EmptyData, or BadRow where that is the very first."""
    rows: list[tuple[int, list[str]]] = []
    for line, row in islice(_parsed(source, look, form), _HEAD_ROWS):
        if not isinstance(row, BadRow):
            rows.append((line, row))
        elif not rows:
            raise row
    if not rows:
        raise EmptyData(path=source.place)
    line, first = rows[0]
    if len(first) > _MOST_COLUMNS:
        found, expected = f"{len(first):,} columns", f"at most {_MOST_COLUMNS:,}"
        raise BadRow(path=source.place, line=line, found=found, expected=expected)
    return rows


def _names(first: Sequence[str], below: Sequence[Sequence[str]], separator: str) -> list[str]:
    """The header's names, with a place for what only the rows have, or only the header."""
    names = [name.strip() for name in first]
    widths = {len(row) for row in below}
    if widths == {len(names) + 1}:
        if not any(row[-1] for row in below):  # every row ends with a separator
            return [*names, ""]
        if separator != "," and len({row[0] for row in below}) == len(below) > 1:
            return ["", *names]  # R's names of rows
    if len(names) > 1 and not names[-1] and widths == {len(names) - 1}:
        return names[:-1]
    return names


def _rows(
    source: Source, look: Look, form: Form, columns: Sequence[str], wanted: Sequence[int]
) -> Iterator[Row]:
    width = len(columns)
    # A slice gives a list, and itemgetter of several a tuple: both without Python code for a row.
    pick = itemgetter(*wanted) if len(wanted) > 1 else itemgetter(_one(wanted))
    parsed = _parsed(source, look, form)
    header = next(parsed, (0, []))[1] if form.header else []
    for line, row in parsed:
        if isinstance(row, BadRow):
            yield line, row
        elif row == header or (row[0][:1] == _MARK and [row[0][1:], *row[1:]] == header):
            expected = "rows only: files were put one behind the other"
            found = "the names of the columns once more"
            yield line, BadRow(path=source.place, line=line, found=found, expected=expected)
        elif len(row) == width:
            yield line, pick(row)
        else:
            shown = f"{', '.join(columns[:12])}{', …' * (width > 12)}"
            found, expected = _count(len(row), "field"), f"{width} ({shown})"
            yield line, BadRow(path=source.place, line=line, found=found, expected=expected)


def _one(wanted: Sequence[int]) -> slice:
    return slice(wanted[0], wanted[0] + 1) if wanted else slice(0, 0)


def _parsed(source: Source, look: Look, form: Form) -> _Parsed:
    """(physical line, fields) of every row that is not blank. A bad one is told, and passed over.

    After an open quote nothing follows: where it should have ended, nobody knows.
    """
    csv.field_size_limit(_LONGEST_FIELD)
    with text_of(source, look) as stream:
        for _ in range(form.skipped_lines):
            stream.readline()
        lines: Iterable[str] = _whole_lines(stream) if look.is_cut else stream
        if form.separator == _LABEL:
            yield from ((n, _labelled(line)) for n, line in enumerate(lines, 1) if line.strip())
            return
        reader = csv.reader(
            lines,
            delimiter=form.separator,
            quoting=_quoting(form.quoted),
            escapechar="\\" if form.escaped else None,
            strict=True,
        )
        begin = form.skipped_lines + 1
        line = begin
        while True:
            try:
                for row in reader:
                    if len(row) > 1 or not _is_blank(row):
                        yield line, row
                    line = reader.line_num + begin
                return
            except csv.Error as error:
                last = reader.line_num + begin - 1
                is_open = "end of data" in str(error)
                if is_open and look.is_cut:
                    return
                yield line, _bad_quotes(source.place, line, last, str(error))
                if is_open or ("field limit" in str(error) and last > line):
                    return
                line = last + 1


def _whole_lines(stream: Iterable[str]) -> Iterator[str]:
    return (line for line in stream if line.endswith(("\n", "\r")))


def _is_blank(row: Sequence[str]) -> bool:
    return not row or (len(row) == 1 and row[0].isspace())


def _quoting(quoted: bool) -> Literal[0, 3]:
    return csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE


def _bad_quotes(path: str, line: int, last: int, why: str) -> BadRow:
    found, expected = f"bad quoting ({why})", 'a quoted field ends with ", and a quote in it is ""'
    if last > line:
        found += f" in lines {line} to {last}"
    if "end of data" in why:
        found = "a quote that is never closed"
    elif "field limit" in why:
        found, expected = why, f"at most {_LONGEST_FIELD:,} characters in a field"
        if last > line:
            found += ", perhaps for a quote that is never closed"
    return BadRow(path=path, line=line, found=found, expected=expected)


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"
