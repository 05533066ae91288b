"""Labelled text, found and read: which file is which split, which column is what, which classes.

`find` looks once and checks everything, so that no bad row shows up after an hour of training; it
returns facts (`Dataset`), not texts. `read` gives the texts and class numbers of one split later,
in the worker, and refuses a file that is no longer the one that was checked. Both walk the rows
through the same `_checked`, so they cannot disagree. Decoding and splitting is `store.data.tables`.
"""

from __future__ import annotations

import hashlib
import html
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final, Literal, Protocol

from agnews_cli.core.dataset import Dataset, File, Reading, Rows, Split
from agnews_cli.errors import (
    BadRow,
    CannotRead,
    ColumnMissing,
    DataChanged,
    EmptyData,
    FileMissing,
    NoLabelColumn,
    NoTextColumn,
    NoTrainingSplit,
    OneClass,
    TooFewRows,
    TooManyClasses,
    UnknownTestLabel,
    UnsupportedFile,
    UsageError,
)
from agnews_cli.store.data import tables
from agnews_cli.store.data.table import Row, Table, spelling

# fmt: off
# Best first. Names are compared in lower case, with every other sign as "_", final digits dropped.
LABEL_NAMES: Final = (
    "label", "labels", "class", "classes", "class_index", "class_label", "class_id",
    "class_name", "category", "categories", "target", "topic", "sentiment", "intent", "emotion",
    "y", "label_text", "label_name", "label_id", "gold_label", "label_coarse", "coarse_label",
    "fine_label", "polarity", "stars", "rating", "genre", "section", "tag",
)
TITLE_NAMES: Final = (
    "title", "headline", "subject", "heading",
)
BODY_NAMES: Final = (
    "text", "sentence", "content", "contents", "body", "description", "review", "document",
    "question", "message", "abstract", "summary", "article", "paragraph", "comment", "tweet",
    "post", "utterance", "query", "snippet", "passage", "news", "premise", "hypothesis",
    "input", "txt", "email",
)
# fmt: on
SPLIT_NAMES: Final[Mapping[Split, tuple[str, ...]]] = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test", "testing"),
}
AG_NEWS: Final = ("World", "Sports", "Business", "Sci/Tech")
MOST_CLASSES: Final = 1000

CLEANING = 1
"""Raise when `clean` changes: tokens cached from the old texts are then not used."""

_HUB_ID = re.compile(r"[A-Za-z0-9_][\w.-]*/[A-Za-z0-9_][\w.-]*", re.ASCII)
_FILE_LIKE = re.compile(
    r"\.(csv|tsv|jsonl?|ndjson|parquet|txt|xlsx?|gz|zip|bz2|xz|zst|arrow)$", re.I
)
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?")
_SAME_COLUMNS = (
    "Every split needs the columns of the training data: mend this one, or name the training file "
    "alone."
)

# AG News lost the & of its entities: "Messier #39;s", "  quot;I am". A space stands in its place.
_LOST = re.compile(r"(?:^|\s)(#\d{2,5}|quot|amp|lt|gt|nbsp|apos|hellip|[mn]dash|[lr][sd]quo);")
_TAG = re.compile(
    r"</?(?:a|b|big|blockquote|br|center|cite|code|dd|div|dl|dt|em|font|h[1-6]|hr|i|img|li|nobr|ol|p|pre|s|"
    r"small|span|strong|sub|sup|table|tbody|td|th|tr|tt|u|ul)(?:\s[^<>]*)?/?>",
    re.IGNORECASE,
)


def clean(text: str) -> str:
    r"""`text` as a model should see it; used for every text, in training and in prediction.

    Entities are repaired (also AG News' ` #39;` and ` quot;`, which lost their `&`) and decoded
    once; `\$` becomes `$` and every other backslash, AG News' line break, a space; HTML tags are
    dropped by name, so that the ticker in `<TXN.N>` stays; runs of white space become one space.
    """
    if ";" in text:
        text = html.unescape(_LOST.sub(r"&\1;", text))
    if "\\" in text:
        text = text.replace("\\$", "$").replace("\\", " ")
    if "<" in text:
        text = _TAG.sub(" ", text)
    return " ".join(text.split())


def texts(path: str, *, text_columns: tuple[str, ...] = ()) -> list[str]:
    """Cleaned texts of a file whose labels, if it has any, do not matter (for prediction)."""
    table = tables.read(path, is_header=_header_test(text_columns))
    names = table.columns
    wanted = tuple(_locate(table, text, "text-column") for text in text_columns)
    if not wanted:
        rest = [name for name in names if _normal(name) not in LABEL_NAMES] or list(names)
        usual = [n for kind in (TITLE_NAMES, BODY_NAMES) for n in rest if _normal(n) in kind]
        wordy = [n for n in rest if _holds_words(table, names.index(n))]
        found = usual or (wordy if len(wordy) == 1 or not table.form.header else [])
        wanted = tuple(names.index(name) for name in found)
    if not wanted:
        raise NoTextColumn(path=table.place, columns=_some(names))
    joined = [
        clean(" ".join(str(value) for value in values if value is not None))
        for _, values in _whole(table.rows(wanted))
    ]
    if not joined:
        raise EmptyData(path=path)
    return joined


class _Digest(Protocol):
    def update(self, data: bytes, /) -> None: ...


@dataclass(frozen=True, slots=True)
class _Columns:
    texts: tuple[str, ...]
    label: str
    note: str = ""


def find(source: str, reading: Reading | None = None) -> Dataset:
    """The data set at `source` (folder, file or hub id `owner/name`), every row of it checked.

    Raises a `DataError` for anything that training would stumble over, `FileMissing`,
    `CannotRead`, `HubRefused`, `HubUnreachable` or `ExtraMissing`.
    """
    reading = reading or Reading()
    text_columns, label_column = tuple(dict.fromkeys(reading.text_columns)), reading.label_column
    if label_column is not None and label_column in text_columns:
        raise UsageError(
            message=f"--text-column and --label-column both name {label_column!r}.",
            hint="Name different columns; without these options agnews looks for them itself.",
        )
    given = (*text_columns, label_column) if label_column is not None else text_columns
    name, folder, found, notes = _splits(source, given)
    train = found["train"]
    columns = _columns(train, text_columns, label_column)
    notes.append(columns.note)
    if not train.form.header:
        notes.append(f"no header, read as {', '.join(train.columns)}")

    files: dict[Split, File] = {}
    counts: dict[str, int] = {}  # training rows of each label
    first_lines: dict[str, int] = {}
    for split, table in found.items():
        if split != "train" and _is_unlabelled(table, columns):
            notes.append(f"{table.place} has no labels and is not used")
            continue
        rows = 0
        digest = hashlib.sha256()
        for line, _, label in _checked(table, columns, split, digest):
            rows += 1
            if split == "train":
                first_lines.setdefault(label, line)
                counts[label] = counts.get(label, 0) + 1
            elif label not in counts:
                raise _unknown_label(table, label, line, _in_order(counts))
        if split == "train":
            _check_classes(table, columns.label, counts)
        files[split] = File(
            path=table.path if table.form.format == "hub" else str(Path(table.path).absolute()),
            form=table.form,
            rows=rows,
            sha256=table.sha256 or digest.hexdigest(),
            part=table.part,
        )

    values, labels, note = _named(_in_order(counts), train, columns.label, folder, first_lines)
    return Dataset(
        name=name,
        train=files["train"],
        validation=files.get("validation"),
        test=files.get("test"),
        text_columns=columns.texts,
        label_column=columns.label,
        labels=labels,
        label_values=values,
        class_rows=tuple(counts[value] for value in values),
        notes=tuple(note for note in (*notes, note) if note),
    )


def read(
    dataset: Dataset,
    split: Split,
    *,
    limit: int | None = None,
    seed: int = 0,
    told: Callable[[int], None] = lambda rows: None,
) -> Rows:
    """Texts and class numbers of a split that the data set has, exactly those that `find` checked.

    `limit`: at most so many rows, the same share of each class, drawn by `seed`; `told` hears now
    and then how many rows have been read, and may raise to stop.

    Raises `DataChanged` if its SHA-256 is no longer the one in `dataset`.
    """
    file = dataset.file(split)
    if file is None:
        raise ValueError(f"{dataset.name} has no {split} split")
    columns = _Columns(dataset.text_columns, dataset.label_column)
    if file.form.format == "hub":
        table = tables.hub(file.path).get(file.part)
        if table is None:
            raise DataChanged(path=f"{file.path} ({file.part})", now="gone", before=file.sha256)
    else:
        table = tables.read(file.path, is_header=_header_test((*columns.texts, columns.label)))
        if table.sha256 != file.sha256:
            raise DataChanged(path=file.path, now=table.sha256, before=file.sha256)
    numbers = {value: number for number, value in enumerate(dataset.label_values)}
    texts: list[str] = []
    classes: list[int] = []
    digest = hashlib.sha256()
    for at, (line, text, label) in enumerate(_checked(table, columns, split, digest)):
        if label not in numbers:
            raise _unknown_label(table, label, line, dataset.label_values)
        texts.append(text)
        classes.append(numbers[label])
        if at % 1000 == 0:
            told(at)
    if not table.sha256 and digest.hexdigest() != file.sha256:
        raise DataChanged(path=table.place, now=digest.hexdigest(), before=file.sha256)
    return Rows(texts, classes)


# ---- which file is which split ------------------------------------------------------------------

_Found = tuple[str, Path | None, dict[Split, Table], list[str]]  # name, folder, splits, notes


def _splits(source: str, given: Sequence[str]) -> _Found:
    """The tables at `source`, in the order train, validation, test; train is always there."""
    try:
        path = Path(source).expanduser()
        is_folder, is_file, is_there = path.is_dir(), path.is_file(), path.exists()
    except PermissionError as error:
        raise CannotRead(path=source, reason=error.strerror) from error
    except (OSError, RuntimeError, ValueError):  # too long; no such user in ~user; a NUL
        raise FileMissing(path=repr(source)) from None
    is_header = _header_test(given)
    if not source.strip():
        raise FileMissing(path=repr(source))
    if is_folder:
        files, notes = _folder(path)
        read = {s: tables.read(str(file), is_header=is_header) for s, file in files.items()}
        return path.resolve().name or "data", path, read, notes
    if is_file:
        return path.stem, None, {"train": tables.read(str(path), is_header=is_header)}, []
    if is_there:
        raise CannotRead(path=source, reason="it is neither a file nor a folder")
    if not is_hub_id(source):
        raise FileMissing(path=source)
    return source, None, _hub_splits(source), []


def is_hub_id(source: str) -> bool:
    """Whether `source` is `owner/name` and nothing that lies, or could lie, on this disk."""
    if _HUB_ID.fullmatch(source) is None or _FILE_LIKE.search(source) is not None:
        return False
    try:
        return not Path(source).exists() and not Path(source).parent.exists()
    except OSError:  # too long for a path
        return False


def _folder(folder: Path) -> tuple[dict[Split, Path], list[str]]:
    try:
        files = sorted(file for file in folder.iterdir() if file.is_file())
    except OSError as error:
        raise CannotRead(path=folder, reason=error.strerror) from error
    suffixes = list(tables.FORMATS)
    found: dict[Split, Path] = {}
    notes: list[str] = []
    for split, stems in SPLIT_NAMES.items():
        named = [file for file in files if file.stem.lower() in stems]
        usable = [file for file in named if file.suffix.lower() in suffixes]
        if split == "train" and named and not usable:
            raise UnsupportedFile(path=named[0], suffix=named[0].suffix)
        usable.sort(key=lambda f: (suffixes.index(f.suffix.lower()), stems.index(f.stem.lower())))
        if usable:
            found[split] = usable[0]
        notes += [f"{file.name} is not used" for file in named if file not in usable[:1]]
    if "train" not in found:
        listed = _some([file.name for file in files]) if files else "no files"
        raise NoTrainingSplit(path=folder, files=listed)
    return found, notes


def _hub_splits(name: str) -> dict[Split, Table]:
    parts = tables.hub(name)
    found: dict[Split, Table] = {}
    for split, stems in SPLIT_NAMES.items():
        part = next((stem for stem in stems if stem in parts), None)
        if part is not None:
            found[split] = parts[part]
    if "train" not in found:
        hint = "Choose another data set, or save the split you want as a file and name that."
        raise NoTrainingSplit(path=name, files=_some(list(parts)), hint=hint)
    return found


# ---- which column is what -----------------------------------------------------------------------


def _normal(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", name.casefold()).strip("_").rstrip("0123456789").rstrip("_")


def _header_test(given: Iterable[str]) -> Callable[[Sequence[str]], bool]:
    """Is this row one of names: it has one that the user gave, or the usual ones of both kinds."""
    wanted = {name.casefold() for name in given}

    def is_header(fields: Sequence[str]) -> bool:
        usual = {_normal(field) for field in fields}
        both = not usual.isdisjoint(LABEL_NAMES) and not usual.isdisjoint(TITLE_NAMES + BODY_NAMES)
        return both or any(field.strip().casefold() in wanted for field in fields)

    return is_header


def _locate(
    table: Table, name: str, option: Literal["text-column", "label-column"], hint: str = ""
) -> int:
    """Number of the column called `name`: exactly so, else in other case."""
    if name in table.columns:
        return table.columns.index(name)
    folded = [column.casefold() for column in table.columns]
    if folded.count(name.casefold()) == 1:
        return folded.index(name.casefold())
    raise ColumnMissing(
        path=table.place, name=name, columns=_some(table.columns), option=option, hint=hint
    )


def _columns(table: Table, texts: tuple[str, ...], label: str | None) -> _Columns:
    """The columns to use, as the table spells them: the user's, else those found by name."""
    names = table.columns
    texts = tuple(names[_locate(table, text, "text-column")] for text in texts)
    how = "given" if texts and label is not None else "found by name"
    if label is not None:
        label = names[_locate(table, label, "label-column")]
    else:
        free = [name for name in names if name not in texts and _normal(name) in LABEL_NAMES]
        label = min(free, key=lambda name: LABEL_NAMES.index(_normal(name)), default=None)
    if not texts:
        rest = [name for name in names if name != label]
        titles = [name for name in rest if _normal(name) in TITLE_NAMES]
        bodies = [name for name in rest if _normal(name) in BODY_NAMES]
        texts = (*titles, *bodies)
        if not texts and not table.form.header:
            texts = tuple(rest)
        elif not texts and label is not None:
            wordy = [name for name in rest if _normal(name) not in LABEL_NAMES]
            wordy = [name for name in wordy if _holds_words(table, names.index(name))]
            if len(wordy) == 1:
                texts, how = (wordy[0],), "the only column of words left"
    shown = _some([name or "(no name)" for name in names])
    if not texts:
        raise NoTextColumn(path=table.place, columns=shown)
    if label is None:
        raise NoLabelColumn(path=table.place, columns=shown)
    return _Columns(texts, label, f"text = {' + '.join(texts)}, label = {label} ({how})")


def _holds_words(table: Table, column: int) -> bool:
    return any(
        isinstance(value, str) and value.strip() and not _NUMBER.fullmatch(value.strip())
        for _, (value,) in islice(_whole(table.rows([column])), 200)
    )


def _whole(rows: Iterable[Row]) -> Iterator[tuple[int, Sequence[object]]]:
    for line, values in rows:
        if isinstance(values, BadRow):
            raise values
        yield line, values


# ---- rows ---------------------------------------------------------------------------------------


def _checked(
    table: Table, columns: _Columns, split: Split, digest: _Digest
) -> Iterator[tuple[int, str, str]]:
    """(line, clean text, label) of every row. Rows that come without a file go into `digest`."""
    hint = "" if split == "train" else _SAME_COLUMNS
    label_at = _locate(table, columns.label, "label-column", hint)
    texts_at = [_locate(table, text, "text-column", hint) for text in columns.texts]
    names = table.class_names.get(table.columns[label_at])
    for line, values in table.rows([label_at, *texts_at]):
        if isinstance(values, BadRow):
            raise values
        if not table.sha256:
            digest.update(json.dumps(list(values), default=str).encode())
        label = _spelling(table, columns.label, line, values[0])
        if not label:
            raise table.bad_row(line, f"no label in {columns.label!r}", "a class name or number")
        if names is not None and not (label.isdecimal() and int(label) < len(names)):
            expected = f"a number from 0 to {len(names) - 1}"
            raise table.bad_row(line, f"{columns.label!r} is {label}", expected)
        if len(columns.texts) == 1:
            text = clean(_spelling(table, columns.texts[0], line, values[1]))
        else:
            parts = [
                clean(_spelling(table, name, line, value))
                for name, value in zip(columns.texts, values[1:], strict=True)
            ]
            text = " ".join(part for part in parts if part)
        if not text:
            raise table.bad_row(line, f"no text in {' + '.join(columns.texts)}", "at least a word")
        yield line, text, label


def _spelling(table: Table, column: str, line: int, value: object) -> str:
    found = spelling(table, column, line, value)
    if isinstance(found, BadRow):
        raise found
    return found


def _is_unlabelled(table: Table, columns: _Columns) -> bool:
    """Test splits on the hub often come without labels: -1 or nothing in every row."""
    if table.form.format != "hub" or columns.label not in table.columns:
        return False
    at = table.columns.index(columns.label)
    return all(value is None or value == -1 for _, (value,) in _whole(table.rows([at])))


# ---- classes ------------------------------------------------------------------------------------


def _check_classes(table: Table, column: str, counts: Mapping[str, int]) -> None:
    rows = sum(counts.values())
    if len(counts) > MOST_CLASSES or (rows > 20 and len(counts) > rows / 2):
        raise TooManyClasses(path=table.place, classes=len(counts), rows=rows, column=column)
    if len(counts) == 1:
        raise OneClass(path=table.place, label=next(iter(counts)), columns=_some(table.columns))
    for label, count in counts.items():
        if count < 2:
            raise TooFewRows(path=table.place, label=label, rows=count, least=2)


def _in_order(labels: Iterable[str]) -> tuple[str, ...]:
    """Numbers by size if all are numbers, else words by alphabet."""
    labels = list(labels)
    if all(_NUMBER.fullmatch(label) for label in labels):
        return tuple(sorted(labels, key=lambda label: (float(label), label)))
    return tuple(sorted(labels))


def _unknown_label(table: Table, label: str, line: int, known: Sequence[str]) -> UnknownTestLabel:
    return UnknownTestLabel(path=table.place, label=label, line=line, known=_some(known))


def _named(
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


def _some(names: Sequence[str], most: int = 12) -> str:
    """A list for a message, cut when it is long."""
    more = f", … ({len(names)} in all)" if len(names) > most else ""
    return ", ".join(name if len(name) < 60 else name[:57] + "…" for name in names[:most]) + more
