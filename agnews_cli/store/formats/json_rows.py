"""Rows of JSON: one object a line, or one document.

A document is a list of objects, objects one after the other, an object with one such list in it
(`{"data": [...]}`), or pandas' tables: columns (`{"text": {"0": …}}`, `{"text": […]}`), rows by
index, or `split`. Lists are streamed; a table by columns has no rows before its end, and is read
whole up to a limit.

The columns are the keys of all rows, so that one that appears late can be used: that costs a pass.
"""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, Literal, TextIO, cast

from agnews_cli.core.run.dataset import Form
from agnews_cli.errors import BadRow, EmptyData, NotATable, SeveralTables
from agnews_cli.store.formats.encoding import Look, refuse_endless_lines, text_of
from agnews_cli.store.formats.source import Source
from agnews_cli.store.formats.table import ABSENT, Row, Table, kind_of

SUFFIXES: Final = (".json", ".jsonl", ".ndjson")
_CHUNK = 1 << 18
_LARGEST = 64 << 20  # characters of one value, and bytes of a table by columns
_OBJECT = 'one JSON object a row, such as {"label": "sports", "text": "…"}'
_HALF = re.compile(r"\\u[dD][89a-fA-F]")
_HINT = "Rows are counted from 1, in the order of the list; mend or drop that one, then run again."

_Record = dict[str, object] | BadRow
_Records = Iterator[tuple[int, _Record]]
_ANY_HALF = "\\ud800"  # so that it is looked for
_ROWS: Final = object()
_decoder: Final = json.JSONDecoder()
_scan: Final[Callable[[str, int], tuple[object, int]]] = cast(Any, _decoder).scan_once


def kind(source: Source, look: Look) -> Literal["json", "jsonl", ""]:
    """Whether the text is a JSON document, JSON Lines, or neither."""
    with text_of(source, look) as stream:
        head = stream.read(_CHUNK)
    text = head.lstrip()
    is_named = source.suffix in SUFFIXES
    if text.startswith("[") and (is_named or re.match(r"\[\s*[{\]]", text)):
        return "json"
    if not text.startswith("{") or not (is_named or re.match(r'\{\s*["}]', text)):
        return "jsonl" if is_named else ""
    line, _, rest = text.partition("\n")
    try:
        record = json.loads(line)
    except RecursionError:
        return "jsonl"
    except ValueError:
        begun = _is_begun(text)
        return "json" if begun or (not rest and len(head) == _CHUNK) else "jsonl"
    if rest.strip() or not isinstance(record, dict):
        return "jsonl"
    return "jsonl" if _shape_of(record) == "record" else "json"


def _is_begun(text: str) -> bool:
    """Whether `text` is the beginning of a JSON value, or more than one line of it."""
    try:
        _decoder.raw_decode(text)
    except json.JSONDecodeError as error:
        return _is_unfinished(error, len(text))
    except (ValueError, RecursionError):
        return False
    return True


def table(source: Source, look: Look, form: Form) -> Table:
    """The table. Raises the first bad row where there is no good one, or EmptyData."""
    if form.format == "jsonl":
        refuse_endless_lines(source, look)
    shape = _Shape() if form.format == "jsonl" else _find_shape(source, look, form)

    def records() -> _Records:
        if form.format == "jsonl":
            return _lines(source, look, form)
        return _document(source, look, form, shape)

    keys: dict[str, None] = {}
    wrong: BadRow | None = None
    for _, record in records():
        if isinstance(record, BadRow):
            wrong = wrong or record
        elif not record.keys() <= keys.keys():
            keys.update(dict.fromkeys(record))
    if not keys:
        raise wrong or EmptyData(path=source.place)
    columns = tuple(keys)

    def rows(wanted: Sequence[int]) -> Iterator[Row]:
        names = [columns[i] for i in wanted]
        for at, record in records():
            if isinstance(record, BadRow):
                yield at, record
            else:
                yield at, [record.get(name, ABSENT) for name in names]

    return Table(
        source.path,
        form,
        columns,
        rows,
        look.sha256,
        notes=look.notes + shape.notes,
        row_hint=_HINT if form.format == "json" else "",
        size_bytes=look.size_bytes,
        bytes_read=source.bytes_at_most if look.is_cut else None,
    )


# ---- one object a line --------------------------------------------------------------------------


def _lines(source: Source, look: Look, form: Form) -> _Records:
    with text_of(source, look) as stream:
        for number, line in enumerate(stream, 1):
            if look.is_cut and not line.endswith(("\n", "\r")):
                return
            if (record := _plain(line)) is not None:
                yield number, record
            elif not line.isspace():
                yield number, _line(source.place, number, line)


def _plain(line: str) -> dict[str, object] | None:
    """The usual case in half the time of `json.loads`; None for whatever is not plain."""
    try:
        record, end = _scan(line, 0)
    except (StopIteration, ValueError, RecursionError):
        return None
    if isinstance(record, dict) and "\\u" not in line and line[end:].isspace():
        return record
    return None


def _line(path: str, number: int, line: str) -> _Record:
    try:
        record: object = json.loads(line)
    except json.JSONDecodeError as error:
        found = f"not JSON ({error.msg} at character {error.colno})"
        return BadRow(path=path, line=number, found=found, expected=_OBJECT)
    except (ValueError, RecursionError) as error:  # endless digits, endless nesting
        return BadRow(path=path, line=number, found=f"{error}", expected=_OBJECT)
    return _checked(path, number, record, line)


def _checked(path: str, number: int, record: object, text: str, hint: str = "") -> _Record:
    """An object of whole characters, or what it is instead."""
    if not isinstance(record, dict):
        return BadRow(path=path, line=number, found=kind_of(record), expected=_OBJECT, hint=hint)
    if "\\u" in text and _HALF.search(text):
        try:
            json.dumps(record, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            found = "half a surrogate pair (\\ud800 to \\udfff)"
            return BadRow(
                path=path, line=number, found=found, expected="whole characters", hint=hint
            )
    return record


# ---- one document -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Shape:
    """Where the rows of a document lie. `key`: of the object, the list with this name."""

    kind: Literal["list", "objects", "inside", "columns"] = "list"
    key: str = ""
    notes: tuple[str, ...] = ()


class _Stop(Exception):
    """The document is damaged here, and cannot be read on."""


class _Values:
    """JSON values one after the other, from a stream of text of any size."""

    def __init__(self, stream: TextIO, place: str) -> None:
        self._stream, self._place = stream, place
        self._text, self._at, self._line, self._is_end = "", 0, 1, False

    def peek(self) -> str:
        """The next sign that is no white space; "" at the end."""
        while True:
            while self._at < len(self._text) and self._text[self._at] in " \t\r\n":
                self._at += 1
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._more():
                return ""

    def take(self, sign: str) -> bool:
        """Steps over this sign, if it is the next."""
        found = self.peek() == sign
        self._at += found
        return found

    def value(self) -> tuple[object, str]:
        """The next value and its text. Raises _Stop."""
        self.peek()
        while True:
            try:
                value, end = _decoder.raw_decode(self._text, self._at)
                if end < len(self._text) or not self._more():  # 12 may go on as 123
                    text, self._at = self._text[self._at : end], end
                    return value, text
            except json.JSONDecodeError as error:
                if not _is_unfinished(error, len(self._text)) or not self._more():
                    raise _Stop(self._told(error.msg, error.pos)) from None
            except (ValueError, RecursionError) as error:
                raise _Stop(self._told(str(error), self._at)) from None
            if len(self._text) - self._at > _LARGEST:
                raise _Stop(self._told(f"one value of more than {_LARGEST:,} characters", self._at))

    def stop(self, what: str) -> _Stop:
        return _Stop(self._told(what, self._at))

    @property
    def is_end(self) -> bool:
        return self._is_end

    def _told(self, what: str, at: int) -> str:
        line = self._line + self._text.count("\n", 0, at)
        return (
            f"not JSON ({what} at line {line}, character {at - self._text.rfind(chr(10), 0, at)})"
        )

    def _more(self) -> bool:
        rest = self._text[self._at :]
        more = self._stream.read(max(_CHUNK, len(rest)))
        if not more:
            self._is_end = True
            return False
        self._line += self._text.count("\n", 0, self._at)
        self._text, self._at = rest + more, 0
        return True


def _is_unfinished(error: json.JSONDecodeError, length: int) -> bool:
    """Whether more text could make it right; a literal such as `false` has up to 9 signs."""
    return error.msg.startswith("Unterminated string") or error.pos >= length - 10


def _document(source: Source, look: Look, form: Form, shape: _Shape) -> _Records:
    with text_of(source, look) as stream:
        values = _Values(stream, source.place)
        if shape.kind == "columns":
            value, _ = values.value()
            assert isinstance(value, dict)
            for number, row in enumerate(_transposed(value), 1):
                yield number, _checked(source.place, number, row, _ANY_HALF, _HINT)
            return
        number = 0
        try:
            for record, text in _found(values, shape):
                number += 1
                yield number, _checked(source.place, number, record, text, _HINT)
        except _Stop as stop:
            if not (look.is_cut and values.is_end):
                yield number + 1, _broken(source, number + 1, stop)


def _broken(source: Source, number: int, stop: _Stop) -> BadRow:
    hint = "What follows cannot be read: mend the file there, then run the same command again."
    return BadRow(path=source.place, line=number, found=f"{stop}", expected=_OBJECT, hint=hint)


def _found(values: _Values, shape: _Shape) -> Iterator[tuple[object, str]]:
    if shape.kind == "list":
        yield from _list(values)
        if values.peek():
            raise values.stop("more after the end of the list")
    elif shape.kind == "objects":
        while values.peek():
            yield values.value()
            values.take(",")
    else:
        for key in _keys(values):
            if key == shape.key:
                yield from _list(values)
            else:
                values.value()


def _list(values: _Values) -> Iterator[tuple[object, str]]:
    if not values.take("["):
        raise values.stop("no list")
    if values.take("]"):
        return
    while True:
        yield values.value()
        if values.take("]"):
            return
        if not values.take(","):
            raise values.stop("',' or ']' missing")


def _keys(values: _Values) -> Iterator[str]:
    """The keys of an object; the value of each must be taken before the next."""
    if not values.take("{"):
        raise values.stop("no object")
    if values.take("}"):
        return
    while True:
        key, _ = values.value()
        if not isinstance(key, str) or not values.take(":"):
            raise values.stop("a key and ':' missing")
        yield key
        if values.take("}"):
            return
        if not values.take(","):
            raise values.stop("',' or '}' missing")


def _find_shape(source: Source, look: Look, form: Form) -> _Shape:
    """One look through the document; of the values, only small ones and none of a list are kept."""
    with text_of(source, look) as stream:
        values = _Values(stream, source.place)
        if values.peek() == "[":
            return _Shape("list")
        kept: dict[str, object] = {}
        lists: list[str] = []
        try:
            for key in _keys(values):
                kept[key] = _keep(values, look.size_bytes > _LARGEST)
                if kept[key] is _ROWS:
                    lists.append(key)
            follows = values.peek()
        except _Stop as stop:
            if len(lists) == 1:
                return _Shape("inside", lists[0])  # the rows before the damage can be read
            raise _broken(source, 1, stop) from None
    if follows:
        return _Shape("objects")
    if len(lists) == 1:
        return _Shape("inside", lists[0], (f"rows are the list {lists[0]!r}",))
    if lists:
        hint = "Write each list to a file of its own, named train.json, test.json."
        raise SeveralTables(path=source.place, members=", ".join(map(repr, lists[:12])), hint=hint)
    if _shape_of(kept) == "record":
        return _Shape("objects")
    if look.size_bytes > _LARGEST:
        hint = "Write it by rows: frame.to_json('data.jsonl', orient='records', lines=True)"
        what = f"a JSON table by columns of more than {_LARGEST >> 20} MB"
        raise NotATable(path=source.place, what=what, hint=hint)
    return _Shape("columns")


def _keep(values: _Values, is_large: bool) -> object:
    """The next value, of a long list in a large document the first part; _ROWS for rows."""
    if values.peek() != "[":
        return values.value()[0]
    items = (item for item, _ in _list(values))
    begin = list(islice(items, 1))
    if begin and isinstance(begin[0], dict):
        deque(items, maxlen=0)
        return _ROWS
    kept = begin + list(islice(items, 100 if is_large else None))
    deque(items, maxlen=0)
    return kept


# ---- tables by columns --------------------------------------------------------------------------


def _shape_of(
    document: Mapping[str, Any],
) -> Literal["record", "inside", "split", "index", "columns"]:
    """What an object is that stands alone: a row, rows in a list, or one of pandas' tables."""
    values = list(document.values())
    if any(isinstance(value, list) and value and isinstance(value[0], dict) for value in values):
        return "inside"
    if isinstance(document.get("columns"), list) and isinstance(document.get("data"), list):
        return "split"
    if values and all(isinstance(value, dict) and value for value in values):
        if len(values) > 1 and all(value.keys() == values[0].keys() for value in values):
            if all(key.isdecimal() for key in values[0]):
                return "columns"
            if all(key.isdecimal() for key in document):
                return "index"
            # As many rows as there are: an object of rows has few keys in each.
            return "columns" if len(values[0]) >= len(values) > 1 else "index"
        if all(key.isdecimal() for key in document):
            return "index"
        return "columns" if all(key.isdecimal() for key in values[0]) else "record"
    if len(values) > 1 and all(isinstance(value, list) and value for value in values):
        return "columns" if len({len(value) for value in values}) == 1 else "record"
    return "record"


def _transposed(document: Mapping[str, Any]) -> Iterator[dict[str, object]]:
    kind = _shape_of(document)
    if kind == "split":
        names = [str(name) for name in document["columns"]]
        for row in document["data"]:
            yield dict(zip(names, row if isinstance(row, list) else [row], strict=False))
    elif kind == "index":
        yield from document.values()
    elif isinstance(next(iter(document.values())), dict):
        for key in dict.fromkeys(key for column in document.values() for key in column):
            yield {name: column[key] for name, column in document.items() if key in column}
    else:
        for values in zip(*document.values(), strict=True):
            yield dict(zip(document, values, strict=True))
