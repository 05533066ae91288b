"""A copy of the data without the rows that a check would leave out; the data stay as they are."""

from __future__ import annotations

import csv
import io
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from agnews_cli.core.guards.data_facts import DataFacts, Removal
from agnews_cli.core.run.dataset import Dataset, File, Split
from agnews_cli.errors import BadRow, CannotRead, CannotWrite, FileThere
from agnews_cli.store.data import datasets
from agnews_cli.store.data.answers import cell
from agnews_cli.store.disk import outputs
from agnews_cli.store.disk.names import local
from agnews_cli.store.disk.space import refusal
from agnews_cli.store.formats import tables
from agnews_cli.store.formats.table import Table

_IN_ORDER: tuple[Split, ...] = ("train", "validation", "test")
REMOVED, SUSPECTS = "removed.csv", "suspects.csv"
_UNUSED = "cannot be used: no text, no label, or a class that is left out"
_HEADS = ("split", "line", "why", "like_split", "like_line", "similarity", "label", "text")
_NEW = "Name a folder that is not there yet, or is empty: --fix DIR"


@dataclass(frozen=True, slots=True)
class CleanedCopy:
    """What was written; `kept` and `removed` count rows by split."""

    folder: Path
    kept: Mapping[Split, int]
    removed: Mapping[Split, int]

    def as_json(self) -> dict[str, Any]:
        """Of schema `agnews.check/1`."""
        return {
            "folder": str(self.folder),
            "kept": dict(self.kept),
            "removed": dict(self.removed),
            "list": str(self.folder / REMOVED),
            "suspects": str(self.folder / SUSPECTS),
        }


def require_free(folder: Path) -> Path:
    """Where the copy will lie. Raises CannotWrite where something lies there already."""
    path = local(str(folder)).absolute()
    try:
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise FileThere(path=folder, hint=_NEW)
    except OSError as error:
        raise CannotWrite(path=folder, reason=error.strerror or error, hint=_NEW) from error
    return path


class _Rows(Protocol):
    def writerow(self, row: Sequence[object], /) -> object: ...


def write(dataset: Dataset, facts: DataFacts, folder: Path) -> CleanedCopy:
    """Every split as CSV with all its columns, what was left out, and likely label errors.

    Raises CannotWrite or NoDiskSpace, and CannotRead for data that changed meanwhile.
    """
    lines = {s: array("Q", datasets.lines(dataset, s)) for s in _IN_ORDER if dataset.file(s)}
    for split, there in lines.items():
        if len(there) != facts.split_rows[split]:
            file = dataset.file(split)
            assert file is not None
            raise CannotRead(path=file.path, reason="it was changed while it was read")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        kept, removed = {}, {}
        with _csv(folder / REMOVED) as left_out:
            left_out.writerow(_HEADS)
            for split in lines:
                copy = _Copy(dataset, split, lines, facts.removals)
                with _csv(folder / f"{split}.csv") as rows:
                    kept[split], removed[split] = copy.write(rows, left_out)
        with _csv(folder / SUSPECTS) as rows:
            _suspects(rows, dataset, facts, lines["train"])
        _class_names(dataset, folder)
    except OSError as error:
        raise refusal(folder, error, 0) from error
    return CleanedCopy(folder, kept, removed)


@contextmanager
def _csv(path: Path) -> Iterator[_Rows]:
    with outputs.replaced(path) as file:
        text = io.TextIOWrapper(file, encoding="utf-8", errors="surrogatepass", newline="")
        yield csv.writer(text, lineterminator="\n")
        text.flush()
        text.detach()


class _Copy:
    """One split, on its way."""

    def __init__(
        self,
        dataset: Dataset,
        split: Split,
        lines: Mapping[Split, Sequence[int]],
        removals: Sequence[Removal],
    ) -> None:
        file = dataset.file(split)
        assert file is not None
        self._dataset, self._file, self._split, self._lines = dataset, file, split, lines
        self._gone = {lines[split][one.row]: one for one in removals if one.split == split}
        self._table = datasets.reopened(file)

    def write(self, rows: _Rows, left_out: _Rows) -> tuple[int, int]:
        """(rows written, rows left out)."""
        table = self._table
        rows.writerow(table.columns)
        is_here = _of_split(self._dataset, self._file, table)
        used = iter(self._lines[self._split])
        expected = next(used, None)
        kept = removed = 0
        for line, values in table.rows(range(len(table.columns))):
            if not isinstance(values, BadRow) and not is_here(values):
                continue
            is_used = line == expected
            if is_used:
                expected = next(used, None)
            if is_used and line not in self._gone and not isinstance(values, BadRow):
                rows.writerow(self._cells(values))
                kept += 1
                continue
            left_out.writerow(self._removed(line, values, is_used=is_used))
            removed += 1
        return kept, removed

    def _cells(self, values: Sequence[object]) -> list[str]:
        """As CSV has them; a class number of the hub becomes its name."""
        names = self._table.class_names.get(self._dataset.label_column)
        cells = [cell(value) for value in values]
        if names is not None:
            at = self._table.columns.index(self._dataset.label_column)
            cells[at] = names[int(cells[at])]
        return cells

    def _removed(
        self, line: int, values: Sequence[object] | BadRow, *, is_used: bool
    ) -> list[object]:
        if isinstance(values, BadRow):
            return [self._split, line, values.message, "", "", "", "", ""]
        columns = self._table.columns
        label = cell(values[columns.index(self._dataset.label_column)])
        text = " ".join(cell(values[columns.index(name)]) for name in self._dataset.text_columns)
        if not is_used:
            return [self._split, line, _UNUSED, "", "", "", label, text]
        gone = self._gone[line]
        like: list[object] = ["", ""]
        if gone.of is not None:
            like = [gone.of.split, self._lines[gone.of.split][gone.of.row]]
        similarity = "" if gone.similarity is None else f"{gone.similarity:.3f}"
        return [self._split, line, gone.why, *like, similarity, label, text]


def _of_split(dataset: Dataset, file: File, table: Table) -> Callable[[Sequence[object]], bool]:
    if dataset.split_column is None:
        return lambda values: True
    at = table.columns.index(dataset.split_column)
    return lambda values: cell(values[at]).strip() in file.split_values


def _suspects(rows: _Rows, dataset: Dataset, facts: DataFacts, lines: Sequence[int]) -> None:
    rows.writerow(("line", "label", "likely", "p_label", "p_likely", "text"))
    for one in facts.suspects.rows if facts.suspects else ():
        label, likely = dataset.labels[one.place.label], dataset.labels[one.likely]
        said = f"{one.given_probability:.3f}", f"{one.likely_probability:.3f}"
        rows.writerow((lines[one.place.row], label, likely, *said, one.place.text))


def _class_names(dataset: Dataset, folder: Path) -> None:
    """classes.txt, where the labels alone would not be called as they are, or stand otherwise."""
    beside = Path(dataset.train.path).parent / "classes.txt"
    if beside.is_file():
        names = tables.lines(str(beside))
        outputs.write(folder / "classes.txt", "".join(f"{name}\n" for name in names))
    elif dataset.labels != dataset.label_values:
        outputs.write(folder / "classes.txt", "".join(f"{name}\n" for name in dataset.labels))
