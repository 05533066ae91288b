"""Labelled text, found and read: facts about all splits now, texts and classes later.

`find` looks once and checks everything, so that no bad row shows up after an hour of training; it
returns facts (`Dataset`), not texts. `read` gives the texts and class numbers of one split later,
in the worker, and refuses a file that is no longer the one that was checked. Both walk the rows
through `Walk`, so they cannot disagree. Which file is which split is `splits`, which column is
what `columns`, what a label means `labels`, what a text is `cleaning`; bytes are `tables`.
"""

from __future__ import annotations

import hashlib
import random
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

from agnews_cli.core.run.dataset import Dataset, Draw, File, Reading, Rows, Split
from agnews_cli.core.run.rows import LEAST_ROWS, drawn
from agnews_cli.errors import BadRow, DataChanged
from agnews_cli.store.data import class_names, columns, row_file, splits, test_split, unlabelled
from agnews_cli.store.data.cleaning import kind_of_texts
from agnews_cli.store.data.columns import Columns, locate
from agnews_cli.store.data.labels import known
from agnews_cli.store.data.repeats import RepeatedTexts
from agnews_cli.store.data.row_cache import RowCache, RowQuestion, States, states
from agnews_cli.store.data.splits import is_hub_id
from agnews_cli.store.data.verdicts import Verdicts, command, file_of
from agnews_cli.store.data.walk import (
    SAME_COLUMNS,
    TOLD_ROWS,
    Digest,
    Keep,
    Scan,
    Told,
    Walk,
    nobody,
    scan,
)
from agnews_cli.store.formats import tables
from agnews_cli.store.formats.table import Table

__all__ = ["LEAST_ROWS", "RowCache", "Told", "find", "is_hub_id", "nobody", "read"]


# ---- finding ------------------------------------------------------------------------------------


def find(
    source: str,
    reading: Reading | None = None,
    *,
    bytes_at_most: int | None = None,
    told: Told = nobody,
    cache: RowCache | None = None,
) -> Dataset:
    """The data set at `source` (folder, file or hub id `owner/name`), every row of it checked.

    `bytes_at_most`: only the rows within the first so many bytes of each file are used. `cache`:
    what was found there before is found again without being parsed, and is kept there otherwise.

    Raises a `DataError` for anything that training would stumble over, `FileMissing`,
    `CannotRead`, `HubRefused`, `HubUnreachable` or `ExtraMissing`.
    """
    reading = reading or Reading()
    if cache is None:
        return _found(source, reading, bytes_at_most, told)[0]
    asked = RowQuestion(source, reading, bytes_at_most)
    if (there := cache.known(asked)) is not None:
        return there
    began_ns, drafts = time.time_ns(), cache.drafts()
    try:
        found, read = _found(source, reading, bytes_at_most, told, drafts.keep)
        cache.keep(asked, found, drafts, read, began_ns)
    finally:
        drafts.give_up()
    return found


def _found(
    source: str,
    reading: Reading,
    bytes_at_most: int | None,
    told: Told,
    keep: Keep | None = None,
) -> tuple[Dataset, States]:
    """The data set, and every file that was opened for it, as it was before its rows were read."""
    again = command(source, reading)
    place = splits.look(source, reading, bytes_at_most=bytes_at_most)
    read = states(p for table in place.tables.values() for p in (table.path, *table.shards))
    train = place.tables["train"]
    chosen = columns.find_columns(train, reading, again)
    if len(place.tables) > 1:  # the files say which split is which
        chosen = replace(chosen, split=None)
    walk = Walk(chosen, "none" if reading.raw_text else kind_of_texts(first_texts(train, chosen)))
    repeats = RepeatedTexts()
    hears = repeats.see if keep is None else _both(keep, repeats.see)
    scans = scan(train, walk, "train", told, hears)
    notes, warnings = [chosen.note, *place.notes, *train.notes], list[str]()
    if chosen.split is not None:
        notes.append(f"the column {chosen.split!r} says which split a row is in")
    if walk.cleaning == "none" and not reading.raw_text:
        notes.append("texts look like source code, and are left as they are")
    to_predict: File | None = None
    for split, table in place.tables.items():
        if split == "train":
            continue
        if not _has_no_labels(table, chosen):
            scans |= scan(table, walk, split, told, hears)
            continue
        to_predict = _to_predict(table, chosen) if split == "test" else to_predict
        use = "its rows are predicted after training" if split == "test" else "it is not used"
        notes.append(f"{table.place} has no labels: {use}")
    further: File | None = None
    if reading.unlabelled is not None:
        further, table, note = unlabelled.find(
            reading.unlabelled, reading, walk, bytes_at_most=bytes_at_most, told=told
        )
        read = {**read, **states((table.path, *table.shards))}
        notes.append(note)
    verdicts = Verdicts(reading, again, notes, warnings)
    files, values, names = _files(scans, verdicts, place, chosen.label)
    notes += repeats.notes()
    warnings += repeats.warnings(source)
    if chosen.label == columns.predicted_column(train.columns):
        warnings.append(
            f"{train.place} has columns of probabilities as `agnews predict` writes them: its "
            "labels may be predictions, and a model trained on them learns their mistakes"
        )
    found = Dataset(
        name=place.name,
        train=files["train"],
        validation=files.get("validation"),
        test=files.get("test"),
        unlabelled=further,
        to_predict=to_predict,
        sample=str(place.sample.absolute()) if place.sample else None,
        text_columns=chosen.texts,
        label_column=chosen.label,
        id_column=chosen.id,
        split_column=chosen.split,
        labels=names,
        label_values=values,
        cleaning=walk.cleaning,
        skip_bad_rows=reading.skip_bad_rows,
        drop_rare=reading.drop_rare,
        notes=tuple(filter(None, notes)),
        warnings=tuple(warnings),
    )
    return found, read


def _both(one: Keep, two: Keep) -> Keep:
    def keep(split: Split, text: str, label: str) -> None:
        one(split, text, label)
        two(split, text, label)

    return keep


def _files(
    scans: Mapping[Split, Scan], verdicts: Verdicts, place: splits.SplitTables, column: str
) -> tuple[dict[Split, File], tuple[str, ...], tuple[str, ...]]:
    """(the splits as they will be used, spellings of the classes in class order, their names)."""
    rows = verdicts.classes(scans["train"], column)
    classes = tuple(rows)
    found = {split: verdicts.file(scan, split, rows) for split, scan in scans.items()}
    first_lines = scans["train"].labels.first_lines
    table = place.tables["train"]
    values, names, note = class_names.named(classes, table, column, place.folder, first_lines)
    files = {split: _reordered(file, classes, values) for split, file in found.items()}
    verdicts.notes.append(note)
    share = verdicts.reading.test_share
    return files | test_split.made(files, share, verdicts.notes, verdicts.warnings), values, names


def first_texts(table: Table, chosen: Columns) -> list[str]:
    wanted = [table.columns.index(text) for text in chosen.texts]
    rows = islice(table.rows(wanted), 500)
    return [
        " ".join(cell for cell in values if isinstance(cell, str))
        for _, values in rows
        if not isinstance(values, BadRow)
    ]


def _has_no_labels(table: Table, chosen: Columns) -> bool:
    """As competitions and the hub have test splits: no such column, or -1 or nothing in all rows.

    A file without the text either is another one than it should be; that is no answer to this.
    """
    folded = [name.casefold() for name in table.columns]
    if chosen.label.casefold() not in folded:
        return all(text.casefold() in folded for text in chosen.texts)
    at = locate(table, chosen.label, "label-column")
    nothing = (None, -1, -1.0, "", "-1", "-1.0")
    first = [values for _, values in islice(table.rows([at]), 1000)]
    rows = [values[0] for values in first if not isinstance(values, BadRow)]
    return bool(rows) and all(v in nothing or v != v for v in rows)


def _to_predict(table: Table, chosen: Columns) -> File:
    wanted = [locate(table, text, "text-column", SAME_COLUMNS) for text in chosen.texts]
    return file_of(table, sum(1 for _ in table.rows(wanted)), table.sha256)


def _reordered(file: File, before: tuple[str, ...], now: tuple[str, ...]) -> File:
    """With its rows in the order that the classes have now: classes.txt may say another."""
    counts = dict(zip(before, file.class_rows, strict=True))
    return file.model_copy(update={"class_rows": tuple(counts[value] for value in now)})


# ---- reading ------------------------------------------------------------------------------------


def read(
    dataset: Dataset,
    split: Split,
    *,
    limit: int | None = None,
    seed: int = 0,
    told: Callable[[int], None] = lambda rows: None,
    kept: Path | None = None,
) -> Rows:
    """Texts and class numbers of a split that the data set has, exactly those that `find` checked.

    `kept`: where `find` left them (`RowCache.rows`); they are mapped then, and nothing is parsed.

    `limit`: at most so many rows, the same share of each class and at least two, drawn by `seed`;
    only their texts are cleaned and kept. `told` hears now and then how many rows have been read,
    and may raise to stop.

    Raises `DataChanged` if its SHA-256 is no longer the one in `dataset`; for `kept`, OSError or
    `row_file.Damaged`.
    """
    file = dataset.file(split)
    if file is None:
        raise ValueError(f"{dataset.name} has no {split} split")
    keep = None if limit is None else _drawn(file.class_rows, limit, seed)
    if kept is not None:
        rows = row_file.read(kept)
        return rows if keep is None else _some(rows, keep)
    walk = _walk(dataset)
    table = reopened(file)
    if split == "unlabelled":
        return unlabelled.read(table, file, walk, told)
    if table.sha256 != file.sha256 and table.sha256:
        raise DataChanged(path=file.path, now=table.sha256, before=file.sha256)
    chosen = _Chosen(file.draw, keep, len(dataset.label_values))
    texts: list[str] = []
    classes: list[int] = []
    digest = hashlib.sha256()
    for line, number, cells in _used(dataset, split, table, walk, digest, told):
        if not chosen.takes(number):
            continue
        text = walk.text(table, line, cells)
        texts.append("" if isinstance(text, BadRow) else text)
        classes.append(number)
    if not table.sha256 and digest.hexdigest() != file.sha256:
        raise DataChanged(path=table.place, now=digest.hexdigest(), before=file.sha256)
    return Rows(texts, classes)


def lines(dataset: Dataset, split: Split) -> Iterator[int]:
    """Where each row that `read` gives begins: its line, or its number where there are no lines."""
    file = dataset.file(split)
    assert file is not None
    table = reopened(file)
    chosen = _Chosen(file.draw, None, len(dataset.label_values))
    for line, number, _ in _used(dataset, split, table, _walk(dataset), hashlib.sha256(), _deaf):
        if chosen.takes(number):
            yield line


def _deaf(rows: int) -> None:
    pass


def _walk(dataset: Dataset) -> Walk:
    columns = Columns(dataset.text_columns, dataset.label_column, split=dataset.split_column)
    return Walk(columns, dataset.cleaning)


def _used(
    dataset: Dataset,
    split: Split,
    table: Table,
    walk: Walk,
    digest: Digest,
    told: Callable[[int], None],
) -> Iterator[tuple[int, int, Sequence[object]]]:
    """(line, class, cells of the text) of each row that can be used; a draw may take some."""
    file = dataset.file(split)
    assert file is not None
    numbers = {value: number for number, value in enumerate(dataset.label_values)}
    for at, (line, label, cells, where) in enumerate(walk.rows(table, split, digest)):
        if at % TOLD_ROWS == 0:
            told(at)
        if where is not None and where not in file.split_values:
            continue
        meant = None if isinstance(label, BadRow) else known(label[0], numbers)
        if meant is None or isinstance(walk.whether_text(table, line, cells), BadRow):
            continue  # left out, or `find` would have refused the file
        yield line, numbers[meant], cells


class _Chosen:
    """Which rows are wanted, asked about each as it comes."""

    def __init__(
        self, draw: Draw | None, keep: Sequence[Collection[int]] | None, classes: int
    ) -> None:
        self._test = test_split.numbers(draw) if draw else None
        self._is_test = draw is not None and draw.is_test
        self._keep = keep
        self._met, self._used = [0] * classes, [0] * classes

    def takes(self, number: int) -> bool:
        """Whether the next row, of this class, is one of them."""
        self._met[number] += 1
        if self._test is not None:
            is_drawn = self._met[number] - 1 in self._test[number]
            if is_drawn != self._is_test:
                return False
        self._used[number] += 1
        return self._keep is None or self._used[number] - 1 in self._keep[number]


def _some(rows: Rows, keep: Sequence[Collection[int]]) -> Rows:
    chosen = _Chosen(None, keep, len(keep))
    numbers = [at for at, number in enumerate(rows.classes) if chosen.takes(number)]
    assert isinstance(rows.texts, row_file.MappedTexts)
    return Rows(rows.texts.take(numbers), [rows.classes[at] for at in numbers])


def reopened(file: File) -> Table:
    """The table of a split, read as it was the first time."""
    if file.form.format != "hub":
        return tables.reopen(file.path, file.form, shards=file.shards, bytes_read=file.bytes_read)
    table = tables.hub(file.path).get(file.part)
    if table is None:
        raise DataChanged(path=f"{file.path} ({file.part})", now="gone", before=file.sha256)
    return table


def _drawn(class_rows: Sequence[int], limit: int, seed: int) -> list[set[int]]:
    """Which rows of each class are kept: `limit` in all, each class its share, two at least."""
    quotas = drawn(class_rows, limit)
    rng = random.Random(f"rows {seed}")
    return [set(rng.sample(range(rows), q)) for rows, q in zip(class_rows, quotas, strict=True)]
