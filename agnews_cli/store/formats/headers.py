"""The first row of a separated file: names of columns, or a row like the others.

People's files rarely say. What tells: usual names; a word over a column of numbers, dates or
long texts; a cell that stands in the same column again below, or is a number or a long text like
those below.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

OFFICIAL: Final = ("class", "title", "description")
SMALL_INTEGER: Final = re.compile(r"\s*\d{1,3}\s*")
_NUMBER = re.compile(r"\s*[-+]?[$€£]?\d+([.,]\d+)*(e[-+]?\d+)?\s*%?\s*", re.I)
_DATE = re.compile(r"\s*\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}\b.{0,20}|.{0,30}\b\d{1,2}:\d{2}\b.{0,20}")
_NOTHING = {"", "na", "n/a", "nan", "none", "null", "-", "?"}
_MOST_ODD = 0.1  # of the cells below: a column of numbers may have a gap or a slip
_LONG_WORDS = 4

Fields = Sequence[str]


def has_header(first: Fields, below: Sequence[Fields], is_header: Callable[[Fields], bool]) -> bool:
    """Whether `first` holds names; `is_header` knows the usual ones and those the user gave."""
    if is_header(first) or _is_numbered(first, below):
        return True
    columns = [_column(below, i) for i in range(len(first))]
    if not below:
        return not any(_is_value(cell) or _is_long(cell) for cell in first)
    if len(first) == 1:
        return _is_lone_name(first[0], columns[0])
    if SMALL_INTEGER.fullmatch(first[0]) and _mostly(columns[0], _is_small_integer):
        return False
    pairs = list(zip(first, columns, strict=True))
    if any(_is_name_over_values(cell, column) for cell, column in pairs):
        return True
    if any(_is_name_over_texts(cell, column) for cell, column in pairs):
        return True
    return not any(_is_like(cell, column) for cell, column in pairs)


def default_names(first: Fields, below: Sequence[Fields]) -> tuple[str, ...]:
    """Names for a file without: those of the official AG News form, or `column 1`, …"""
    small = bool(SMALL_INTEGER.fullmatch(first[0])) and _mostly(
        _column(below, 0), _is_small_integer
    )
    numbers = [row[0].strip() for row in (first, *below)] if small else []
    is_index = len(numbers) > 3 and numbers == [str(int(first[0]) + i) for i in range(len(numbers))]
    if len(first) == 1 or not small or is_index or any(map(_is_value, first[1:])):
        return tuple(f"column {number}" for number in range(1, len(first) + 1))
    if len(first) == 3:
        return OFFICIAL
    texts = ("text",) if len(first) == 2 else tuple(f"text {i}" for i in range(1, len(first)))
    return ("class", *texts)


def unique(names: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Each name once, as pandas does it (`id`, `id.1`), and those that stood more than once.

    A column without a name stays without: it is mostly an index.
    """
    counts = Counter(names)
    doubled = tuple(name for name, times in counts.items() if name and times > 1)
    taken = set(names)
    seen: set[str] = set()
    result = []
    for name in names:
        number, free = 0, name
        while free and (free in seen or (number and free in taken)):
            number += 1
            free = f"{name}.{number}"
        seen.add(free)
        result.append(free)
    return tuple(result), doubled


def _column(rows: Sequence[Fields], at: int) -> list[str]:
    """The cells below that hold something."""
    cells = (row[at].strip() for row in rows if len(row) > at)
    return [cell for cell in cells if cell.lower() not in _NOTHING]


def _is_value(cell: str) -> bool:
    return bool(_NUMBER.fullmatch(cell) or _DATE.fullmatch(cell))


def _is_small_integer(cell: str) -> bool:
    return SMALL_INTEGER.fullmatch(cell) is not None


def _is_long(cell: str) -> bool:
    """A text, and no question as surveys have for a name."""
    return len(cell.split()) >= _LONG_WORDS and not cell.rstrip().endswith(("?", ":"))


def _mostly(cells: Sequence[str], test: Callable[[str], bool]) -> bool:
    return sum(map(test, cells)) >= (1 - _MOST_ODD) * len(cells)


def _is_numbered(first: Fields, below: Sequence[Fields]) -> bool:
    """pandas' 0, 1, 2 for columns without names, over a column that is no number."""
    names = [name.strip() for name in first]
    shift = 1 if names[0] == "" and len(names) > 1 else 0  # over an index
    if names[shift:] != [str(number) for number in range(len(names) - shift)]:
        return False
    columns = [_column(below, at) for at in range(shift, len(names))]
    return any(column and not any(map(_is_value, column)) for column in columns)


def _is_lone_name(cell: str, below: Sequence[str]) -> bool:
    """One short word over texts or numbers."""
    cell = cell.strip()
    if " " in cell or len(cell) > 30 or _is_value(cell) or cell in below:
        return False
    return bool(below) and _mostly(below, lambda text: _is_value(text) or " " in text)


def _is_name_over_values(cell: str, below: Sequence[str]) -> bool:
    if _is_value(cell) or cell.strip().lower() in _NOTHING:
        return False
    return bool(below) and _mostly(below, _is_value)


def _is_name_over_texts(cell: str, below: Sequence[str]) -> bool:
    """One word where every row has a text; a class may well be called as its column."""
    return cell.strip().isidentifier() and len(below) > 4 and all(map(_is_long, below))


def _is_like(cell: str, below: Sequence[str]) -> bool:
    """Whether this cell is data as those below are."""
    cell = cell.strip()
    if not cell or not below:
        return False
    if cell in below or (_is_value(cell) and _mostly(below, _is_value)):
        return True
    return _is_long(cell) and sum(map(_is_long, below)) > len(below) / 2
