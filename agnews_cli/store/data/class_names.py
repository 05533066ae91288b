"""What classes are called: by the data set, by classes.txt, by AG News, else by their labels."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from agnews_cli.errors import BadRow, EmptyData
from agnews_cli.store.formats import tables
from agnews_cli.store.formats.table import Table

AG_NEWS: Final = ("World", "Sports", "Business", "Sci/Tech")


def named(
    values: tuple[str, ...],
    table: Table,
    column: str,
    folder: Path | None,
    first_lines: Mapping[str, int],
) -> tuple[tuple[str, ...], tuple[str, ...], str]:
    """(spellings in class order, their class names, a note on where the names come from)."""
    names = table.class_names.get(column)
    if names is not None:
        return values, tuple(names[int(value)] for value in values), "class names from the data set"
    if folder is not None and (folder / "classes.txt").is_file():
        return _by_classes_txt(values, table, folder / "classes.txt", first_lines)
    official = folder is not None and not table.form.header and table.columns == tables.OFFICIAL
    if official and values == ("1", "2", "3", "4"):
        return values, AG_NEWS, "class names of AG News (no classes.txt)"
    return values, values, ""


def _by_classes_txt(
    values: tuple[str, ...], table: Table, path: Path, first_lines: Mapping[str, int]
) -> tuple[tuple[str, ...], tuple[str, ...], str]:
    """Line n names class n (or n - 1 if the data count from 0); a list of words gives the order."""
    names: list[str] = []
    for line, name in enumerate(tables.lines(str(path)), 1):
        if name in names:
            expected = "different class names"
            raise BadRow(path=path, line=line, found=f"{name!r} twice", expected=expected)
        if name:
            names.append(name)
    if not names:
        raise EmptyData(path=path)
    note = "class names from classes.txt"
    if set(values) <= set(names):
        ordered = tuple(name for name in names if name in values)
        return ordered, ordered, note.replace("names", "order")
    if not all(value.isdecimal() for value in values):
        return values, values, "classes.txt is not used: its names are not those of the labels"
    first = 0 if "0" in values else 1
    for value in values:
        if not first <= int(value) < first + len(names):
            raise table.bad_row(
                first_lines[value],
                f"class {value}",
                f"{first} to {first + len(names) - 1}, the classes named in {path}",
            )
    return values, tuple(names[int(value) - first] for value in values), note
