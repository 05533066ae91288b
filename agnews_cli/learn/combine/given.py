"""Probabilities that were given as a table, one row each: what models not trained here say.

Each class has a column `p_LABEL` (`predicted_p_LABEL` where `agnews predict` had to give way). Rows
are told by their text, cleaned as the data set's texts are; or by their number (`row`, as in
`predictions.csv`), where the texts of that split are at hand. `label` is the true class where the
model's own answer has a column of its own, `predicted` or `predicted_label`; else it is the answer.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from agnews_cli.core.run.dataset import Cleaning
from agnews_cli.errors import ColumnMissing, EmptyData, NoProbabilities, RowsUntold
from agnews_cli.learn.combine.logits import UNKNOWN, Logits, digests, log
from agnews_cli.store.data.columns import BODY_NAMES, TITLE_NAMES
from agnews_cli.store.data.texts import Item, Sheet
from agnews_cli.store.formats import tables
from agnews_cli.store.formats.table import Table

_TOLERANCE = 0.01
"""How far a row may be from adding up to 1: people write two digits."""
_ANSWERS = ("predicted", "predicted_label")
_MOST_DIGITS = 18


@dataclass(frozen=True, slots=True)
class Asked:
    """What is known beside the file; the defaults leave it to its columns."""

    labels: tuple[str, ...] = ()
    """The classes; other columns `p_…` are then passed over."""
    text_columns: tuple[str, ...] = ()
    label_column: str | None = None
    cleaning: Cleaning = "markup"
    texts: Sequence[str] | None = None
    """Of the split that `row` counts in, clean, in order."""


def read(path: Path, asked: Asked | None = None) -> Logits:
    """`classes` are UNKNOWN where the file does not say. Raises a DataError, FileMissing or
    CannotRead."""
    asked = asked or Asked()
    table = tables.open_file(str(path), is_header=_is_header)
    sheet, shares, names = _understood(table, asked)
    found, texts, classes = [], [], []
    numbers = {name: number for number, name in enumerate(names)}
    row_column = table.columns.index("row") if not sheet.texts else None
    for item in sheet.items():
        if item.values is None or (item.problem and sheet.texts):
            raise table.bad_row(item.line, item.problem, "a text and its probabilities")
        found.append(_shares(table, item, item.values, shares))
        classes.append(_class(table, item, numbers))
        if row_column is None:
            texts.append(item.text)
        else:
            texts.append(_text_of(table, item, item.values[row_column], asked.texts or ()))
    if not found:
        raise EmptyData(path=path)
    probabilities: NDArray[np.float64] = np.asarray(found)
    probabilities /= probabilities.sum(1, keepdims=True)
    true = np.asarray(classes, dtype=np.int32)
    return Logits(tuple(names), digests(texts), true, log(probabilities), {})


def _is_header(fields: Sequence[str]) -> bool:
    return sum(field.strip().startswith(("p_", "predicted_p_")) for field in fields) > 1


def _understood(table: Table, asked: Asked) -> tuple[Sheet, list[int], list[str]]:
    """(where texts and labels are, the columns of probabilities, their classes)."""
    prefix = "predicted_p_" if any(c.startswith("predicted_p_") for c in table.columns) else "p_"
    shares = [n for n, name in enumerate(table.columns) if name.startswith(prefix)]
    if asked.labels:
        shares = [n for n in shares if table.columns[n].removeprefix(prefix) in asked.labels]
    if len(shares) < max(2, len(asked.labels)):
        raise NoProbabilities(path=table.place, columns=", ".join(table.columns))
    names = [table.columns[n].removeprefix(prefix) for n in shares]
    label = asked.label_column
    if label is None and not {*_ANSWERS}.isdisjoint(table.columns) and "label" in table.columns:
        label = "label"
    return (
        Sheet(
            table,
            texts=_texts(table, asked),
            label=None if label is None else _number(table, label, "label-column"),
            cleaning=asked.cleaning,
        ),
        shares,
        names,
    )


def _number(table: Table, name: str, option: str) -> int:
    if name not in table.columns:
        columns = ", ".join(table.columns)
        raise ColumnMissing(path=table.place, name=name, columns=columns, option=option)
    return table.columns.index(name)


def _texts(table: Table, asked: Asked) -> tuple[int, ...]:
    """The text columns; none where rows are told by their number."""
    if asked.text_columns:
        return tuple(_number(table, name, "text-column") for name in asked.text_columns)
    usual = {name.strip().casefold(): n for n, name in reversed([*enumerate(table.columns)])}
    bodies = [usual[name] for name in BODY_NAMES if name in usual][:1]
    titles = [usual[name] for name in TITLE_NAMES if name in usual][:1]
    if bodies or titles:
        return tuple(titles + bodies)
    columns = ", ".join(table.columns)
    if "row" not in table.columns:
        raise RowsUntold(path=table.place, reason=f"no text among {columns}")
    if asked.texts is None:
        raise RowsUntold(path=table.place, reason="it numbers rows of texts that are not here")
    return ()


def _shares(
    table: Table, item: Item, values: Sequence[object], columns: Sequence[int]
) -> list[float]:
    found = []
    for number in columns:
        name, value = table.columns[number], values[number]
        try:
            share = float(str(value).strip())
        except ValueError:
            share = math.nan
        if not 0 <= share <= 1 + _TOLERANCE:
            raise table.bad_row(item.line, f"{name} is {value!r}", "a probability from 0 to 1")
        found.append(share)
    if abs(sum(found) - 1) > _TOLERANCE:
        raise table.bad_row(item.line, f"probabilities that add up to {sum(found):.4g}", "1")
    return found


def _class(table: Table, item: Item, numbers: dict[str, int]) -> int:
    if not item.label:
        return UNKNOWN
    if item.label not in numbers:
        raise table.bad_row(item.line, f"the label {item.label!r}", f"one of {', '.join(numbers)}")
    return numbers[item.label]


def _text_of(table: Table, item: Item, row: object, texts: Sequence[str]) -> str:
    spelt = str(row).strip()
    if not spelt.isdecimal() or len(spelt) > _MOST_DIGITS or int(spelt) >= len(texts):
        raise table.bad_row(item.line, f"row {spelt!r}", f"a number below {len(texts):,}")
    return texts[int(spelt)]
