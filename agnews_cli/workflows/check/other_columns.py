"""What stands in the columns beside texts and labels, read row by row."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from agnews_cli.core.guards.columns import ColumnFacts, ColumnTally, tallies
from agnews_cli.core.run.dataset import Dataset, File, Split
from agnews_cli.errors import BadRow
from agnews_cli.store.data import datasets
from agnews_cli.store.data.answers import cell
from agnews_cli.store.data.labels import canonical
from agnews_cli.store.formats.table import Table

_MOST_ROWS = 200_000
"""Of each split: more tell no more."""
_IN_ORDER: tuple[Split, ...] = ("train", "validation", "test")


def other_columns(dataset: Dataset) -> tuple[ColumnFacts, ...]:
    """Of each column that is neither text nor label, nor names rows or splits."""
    taken = {*dataset.text_columns, dataset.label_column, dataset.id_column, dataset.split_column}
    seen: list[ColumnTally] = []
    for split in _IN_ORDER:
        file = dataset.file(split)
        if file is None:
            continue
        table = datasets.reopened(file)
        if split == "train":
            seen = tallies(name for name in table.columns if name not in taken)
        if not seen:
            return ()
        for cells, label in _rows(dataset, file, table, [one.name for one in seen]):
            for tally, value in zip(seen, cells, strict=True):
                if value:
                    tally.add(split, value, label)
    return tuple(tally.facts() for tally in seen)


def _rows(
    dataset: Dataset, file: File, table: Table, names: list[str]
) -> Iterator[tuple[list[str], str]]:
    """(cells of these columns, the label) of the rows of one split."""
    places = {name.casefold(): at for at, name in enumerate(table.columns)}
    label = places.get(dataset.label_column.casefold())
    if label is None:
        return
    there = [
        (at, places[name.casefold()]) for at, name in enumerate(names) if name.casefold() in places
    ]
    wanted = [label, *(place for _, place in there)]
    if dataset.split_column is not None:
        wanted.append(table.columns.index(dataset.split_column))
    for _, values in islice(table.rows(wanted), _MOST_ROWS):
        if isinstance(values, BadRow):
            continue
        if dataset.split_column is not None and cell(values[-1]).strip() not in file.split_values:
            continue
        cells = [""] * len(names)
        for (at, _), value in zip(there, values[1:], strict=False):
            cells[at] = cell(value).strip()
        yield cells, canonical(cell(values[0]))
