"""Which column is what: found by the words of their names and by what is in them, or as named."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import Final, Literal

from agnews_cli.core.run.dataset import Reading, Split, split_of
from agnews_cli.errors import (
    BadRow,
    ColumnMissing,
    NoLabelColumn,
    NoTextColumn,
    PredictionsGiven,
    UsageError,
)
from agnews_cli.store.data.labels import canonical
from agnews_cli.store.formats.table import ABSENT, Table

# fmt: off
# Best first. Names are compared in lower case, with every other sign as "_", final digits dropped.
LABEL_NAMES: Final = (
    "label", "labels", "class", "classes", "class_index", "class_label", "class_id",
    "class_name", "category", "categories", "target", "topic", "sentiment", "intent", "emotion",
    "y", "label_text", "label_name", "label_id", "gold_label", "label_coarse", "coarse_label",
    "fine_label", "polarity", "stars", "overall", "rating", "genre", "section", "tag", "tags",
)
TITLE_NAMES: Final = (
    "title", "headline", "subject", "heading", "summary",
)
BODY_NAMES: Final = (
    "text", "sentence", "content", "contents", "body", "description", "review", "document",
    "question", "message", "abstract", "article", "paragraph", "comment", "tweet",
    "post", "utterance", "query", "snippet", "passage", "news", "premise", "hypothesis",
    "input", "txt", "email",
)
_LABEL_WORDS: Final = frozenset({
    "label", "labels", "class", "category", "target", "topic", "sentiment", "intent", "emotion",
    "polarity", "genre",
})
_TITLE_WORDS: Final = frozenset({*TITLE_NAMES})
_BODY_WORDS: Final = frozenset({
    *BODY_NAMES, "texts", "sentences", "reviews", "comments", "feedback", "narrative", "complaint",
    "note", "notes", "transcript", "lyrics", "plot", "caption", "remark", "remarks", "story",
    "dialogue", "prompt", "verbatim", "answer",
})
# A name with one of these says something about the text, and is none.
_ABOUT_WORDS: Final = frozenset({
    "id", "ids", "index", "date", "time", "timestamp", "created", "user", "username", "author",
    "authors", "url", "link", "href", "lang", "language", "count", "length", "len", "score",
    "number", "num", "no", "type", "source", "status", "uuid", "hash", "path", "file", "filename",
    "flag", "predicted", "probability", "votes", "vote", "helpful", "name",
})
SPLIT_COLUMNS: Final = frozenset({"split", "splits", "set", "subset", "partition", "dataset_split"})
ID_COLUMNS: Final = frozenset({"id", "ids", "idx", "index", "row_id", "textid", "text_id", "uid"})
# fmt: on

_LOOKED_AT_ROWS = 300
_NUMBER = re.compile(r"[+-]?\d+(?:[.,]\d+)*(?:e[+-]?\d+)?%?", re.IGNORECASE)
_DATE = re.compile(
    r"\d{4}-\d\d?-\d\d?(?:[T ].*)?|\d\d?[/.]\d\d?[/.]\d{2,4}(?:[T ].*)?|"
    r"(?:mon|tue|wed|thu|fri|sat|sun)\w*,? .*\d{4}.*|"
    r"(?:\d\d?\.? )?(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)\w* \d{1,4}.*",
    re.IGNORECASE,
)
_PROBABILITY = re.compile(r"p_.+")
_CODE = re.compile(r"(?=\S*[\d@_/:])[!-~]{5,}")  # a link, an address, a key: one word that is none
_LONGEST_CODE = 1_000_000  # a picture in base64 is one; longer cells take too long to look through
_IS_SPLIT = re.compile(r"(?:is|in)_(\w+)")
_LOOKED_AT_LONGER = 20_000  # rows, where the first ones do not tell
_MOST_VALUES = 50  # of a column taken for the label by what is in it
_MUCH_LONGER = 3.0
_ONE_COLUMN = "It has one column; training needs a text and its label in each row, in two columns."
_NESTED = (
    "They are empty, or hold lists or objects: give each value a column of its own, in Python: "
    "pandas.json_normalize(rows).to_csv('data.csv', index=False)"
)


@dataclass(frozen=True, slots=True)
class Columns:
    """What the columns are, as the training file spells them; `note` says how that is known."""

    texts: tuple[str, ...]
    label: str
    id: str | None = None
    split: str | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class _Look:
    """What the first rows hold in one column."""

    filled: int
    """Rows in which there is anything."""
    words: float
    """Words a filled row, on average."""
    characters: float
    numbers: float
    """Share of the filled rows that are a number."""
    dates: float
    codes: float
    values: int
    """How many different ones."""

    @property
    def is_wordy(self) -> bool:
        return self.filled > 0 and max(self.numbers, self.dates, self.codes) < 0.9

    @property
    def is_prose(self) -> bool:
        return self.is_wordy and self.words >= 2

    def is_label(self, rows: int) -> bool:
        few = 2 <= self.values <= min(_MOST_VALUES, max(2, rows // 3))
        return few and self.may_be_label(rows)

    def may_be_label(self, rows: int) -> bool:
        return self.filled == rows and self.words < 4 and self.dates < 0.9


def normal(name: str) -> str:
    """`Review-Text2` and `review_text` are one name."""
    return re.sub(r"[^a-z0-9]+", "_", name.casefold()).strip("_").rstrip("0123456789").rstrip("_")


def _words(name: str) -> frozenset[str]:
    parts = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)
    return frozenset(word for word in re.split(r"[\W_\d]+", parts.casefold()) if word)


def header_test(given: Iterable[str]) -> Callable[[Sequence[str]], bool]:
    """Is this row one of names: it has one that the user gave, or the usual ones of both kinds.

    A row of a single field is one of names if it is a usual name of a text.
    """
    wanted = {name.casefold() for name in given}

    def is_header(fields: Sequence[str]) -> bool:
        usual = {normal(field) for field in fields}
        texts = not usual.isdisjoint(TITLE_NAMES + BODY_NAMES)
        both = texts and (not usual.isdisjoint(LABEL_NAMES) or len(fields) == 1)
        return both or any(field.strip().casefold() in wanted for field in fields)

    return is_header


def locate(
    table: Table,
    name: str,
    option: Literal["text-column", "label-column", "id-column"],
    hint: str = "",
) -> int:
    """Number of the column called `name`: exactly so, else in other case, else as a number 1, …

    Raises ColumnMissing, or BadRow where several columns have the name.
    """
    if name in table.columns:
        return table.columns.index(name)
    folded = [column.casefold() for column in table.columns]
    if folded.count(name.casefold()) == 1:
        return folded.index(name.casefold())
    raise ColumnMissing(
        path=table.place, name=name, columns=some(table.columns), option=option, hint=hint
    )


def find_columns(table: Table, reading: Reading, again: str) -> Columns:
    """The columns to use, as the table spells them: the user's, else those that look like it.

    `again` is the command that asks the same, for hints.

    Raises NoTextColumn, NoLabelColumn, ColumnMissing, PredictionsGiven, UsageError, or BadRow where
    the header has one of them twice.
    """
    names = table.columns
    asked = tuple(dict.fromkeys(reading.text_columns))
    looks, rows = _look(table)
    texts = tuple(dict.fromkeys(names[locate(table, text, "text-column")] for text in asked))
    label = _named(table, reading.label_column, "label-column")
    if label in texts:
        raise UsageError(
            message=f"--text-column and --label-column both name {label!r}.",
            hint="Name different columns; without these options agnews looks for them itself.",
        )
    row_id = _named(table, reading.id_column, "id-column")
    how = "given" if texts and label is not None else "found by name"
    split = _split_column(table, (*texts, label or ""))
    if row_id is None:
        row_id = next((name for name in names if normal(name) in ID_COLUMNS), None)
        row_id = None if row_id in (*texts, label) else row_id
    others = [n for n in names if n not in (*texts, label, split, row_id)]
    if label is None:
        label, how_label = _label(others, looks, rows)
        how = how_label or how
        others = [name for name in others if name != label]
    if not texts:
        texts, how_text = _texts(others, looks)
        how = how_text or how
    if label is None and texts:
        label, how_label = _label_by_a_longer_look(table, others, texts, looks, rows)
        how = how_label or how
    shown = some([name or "(no name)" for name in names])
    if not texts and _are_predictions(names):
        raise PredictionsGiven(path=table.place)
    if not texts:
        longest = sorted((n for n in others if n and looks[n].filled), key=_length_in(looks))
        named = f"Name it: {again} --text-column {shlex.quote(longest[-1])}" if longest else ""
        hint = _ONE_COLUMN if len(names) == 1 else named or (_NESTED if others else "")
        raise NoTextColumn(path=table.place, columns=shown, again=again, hint=hint)
    if label is None:
        left = [name for name in others if name not in texts]
        hint = _ONE_COLUMN if len(names) == 1 else _label_hint(left, looks, rows, again)
        raise NoLabelColumn(path=table.place, columns=shown, again=again, hint=hint)
    for name in (*texts, label):
        if name in table.doubled and name not in (*asked, reading.label_column):
            raise table.bad_row(1, f"the column name {name!r} twice", "different names")
    left = [n for n in names if n and n not in (*texts, label, split)]
    note = f"text = {' + '.join(texts)}, label = {label} ({how})"
    note += f"; not used: {some(left)}" if left else ""
    return Columns(texts, label, row_id, split, note)


def _named(
    table: Table, name: str | None, option: Literal["label-column", "id-column"]
) -> str | None:
    return None if name is None else table.columns[locate(table, name, option)]


def _label(others: Sequence[str], looks: dict[str, _Look], rows: int) -> tuple[str | None, str]:
    """(the label's column, how it was found where not by its name).

    None where several are as good: label_1 and label_2, or one that has the name and is mostly
    empty beside others that are full.
    """
    usual = sorted(
        (name for name in others if normal(name) in LABEL_NAMES),
        key=lambda name: LABEL_NAMES.index(normal(name)),
    )
    usual = [name for name in usual if name != predicted_column(others)] or usual
    apt = [name for name in others if looks[name].is_label(rows)]
    full = [name for name in usual if 2 * looks[name].filled >= rows]
    if full or (usual and not apt):
        best = normal((full or usual)[0])
        same = [name for name in full or usual if normal(name) == best]
        plain = [name for name in same if not name.strip()[-1:].isdigit()]
        return (plain[0] if plain else same[0] if len(same) == 1 else None), ""
    by_word = [name for name in apt if _words(name) & _LABEL_WORDS]
    if len(by_word) == 1 and not usual:
        return by_word[0], ""
    if len(apt) == 1 and not usual:
        return apt[0], "the only column with a few values that return"
    return None, ""


def _label_by_a_longer_look(
    table: Table,
    others: Sequence[str],
    texts: Sequence[str],
    looks: dict[str, _Look],
    rows: int,
) -> tuple[str | None, str]:
    """Many classes, or rows sorted by class: the one column beside the texts, if values return."""
    left = [
        name
        for name in others
        if name not in texts
        and looks[name].may_be_label(rows)
        and not _words(name) & _ABOUT_WORDS
        and normal(name) not in LABEL_NAMES
    ]
    if len(left) != 1 or looks[left[0]].is_label(rows):
        return None, ""
    values = [
        canonical(_cell(v)) for v in _first(table, table.columns.index(left[0]), _LOOKED_AT_LONGER)
    ]
    is_number = looks[left[0]].numbers >= 0.9
    most = min(_MOST_VALUES, len(values) // 3) if is_number else len(values) // 3
    if 2 <= len(set(values)) <= most:
        return left[0], "the only column whose values return"
    return None, ""


def _label_hint(left: Sequence[str], looks: dict[str, _Look], rows: int, again: str) -> str:
    """The command that names the likeliest; "" where no column is like a label."""
    apt = [name for name in left if name and looks[name].is_label(rows)]
    if not apt:
        return "" if left else "Labels stand in a column of their own, beside the text: text,label"
    apt.sort(key=lambda name: (normal(name) not in LABEL_NAMES, looks[name].values))
    command = f"{again} --label-column {shlex.quote(apt[0])}"
    return f"These have a few values that return: {some(apt)}. Name one: {command}"


def _length_in(looks: dict[str, _Look]) -> Callable[[str], tuple[bool, float]]:
    return lambda name: (looks[name].is_wordy, looks[name].characters)


def _texts(others: Sequence[str], looks: dict[str, _Look]) -> tuple[tuple[str, ...], str]:
    """(the text's columns, titles first; how they were found where not by their names)."""
    usable = [n for n in others if looks[n].is_wordy and not _PROBABILITY.fullmatch(n)]
    usual = [n for n in others if n in usable or not looks[n].filled]
    titles = [name for name in usual if normal(name) in TITLE_NAMES]
    bodies = [name for name in usual if normal(name) in BODY_NAMES]
    rest = [name for name in usable if name not in titles and name not in bodies]
    apt = [n for n in rest if not _words(n) & _ABOUT_WORDS and looks[n].is_prose]
    if not titles:
        titles = [name for name in apt if _words(name) & _TITLE_WORDS]
    if not bodies:
        bodies = [name for name in apt if _words(name) & _BODY_WORDS and name not in titles]
    found = (*titles, *bodies) or tuple(n for n in others if normal(n) in BODY_NAMES)
    if found:
        return found, ""
    labels = [name for name in rest if normal(name) in LABEL_NAMES]
    unnamed = [n for n in rest if n not in labels and not _words(n) & _ABOUT_WORDS]
    prose = sorted(
        (name for name in unnamed if looks[name].is_prose), key=lambda n: -looks[n].characters
    )
    if len(prose) == 1 or (
        prose and looks[prose[0]].characters > _MUCH_LONGER * looks[prose[1]].characters
    ):
        return (prose[0],), "the only column of sentences"
    if not prose and len(unnamed) == 1:
        return (unnamed[0],), "the only column of words left"
    return (), ""


@lru_cache(1024)
def split_said(column: str, cell: str) -> Split | None:
    """The split that a cell of a column names: test, Test set, PublicTest; 1 in is_test."""
    if len(cell) > _LONGEST_SPLIT:  # a text: not to be cut into its words
        return None
    told = _IS_SPLIT.fullmatch(normal(column))
    if told and (of := split_of(told[1])) and canonical(cell) in _TRUTH:
        return of if _TRUTH[canonical(cell)] else "test" if of == "train" else "train"
    found = {of for word in _words(cell) if (of := split_of(word))}
    return split_of(cell) or (found.pop() if len(found) == 1 else None)


_LONGEST_SPLIT: Final = 80
"""Characters in the longest name of a split."""
_TRUTH: Final = {"1": True, "true": True, "0": False, "false": False}


def _split_column(table: Table, taken: Sequence[str]) -> str | None:
    """A column that says of each row which split it is in, and has training rows.

    One of a usual name may have other values, which are then bad rows; any other has several
    splits and nothing else.
    """
    first = next(
        (row for _, row in table.rows(range(len(table.columns))) if not isinstance(row, BadRow)), ()
    )
    for at, name in enumerate(table.columns):
        is_named = normal(name) in SPLIT_COLUMNS
        if name in taken or not (is_named or (first and split_said(name, _cell(first[at])))):
            continue
        said = {split_said(name, cell) for cell in {_cell(v) for v in _first(table, at)}}
        if is_named and "train" in said and (said == {"train"} or len(said - {None}) > 1):
            return name
        if None not in said and "train" in said and len(said) > 1:
            return name
    return None


def _first(table: Table, column: int, most: int = 10 * _LOOKED_AT_ROWS) -> list[object]:
    rows = islice(table.rows([column]), most)
    return [values[0] for _, values in rows if not isinstance(values, BadRow)]


def _look(table: Table) -> tuple[dict[str, _Look], int]:
    """What the first rows hold, by column; and how many rows were looked at."""
    rows = [
        values
        for _, values in islice(table.rows(range(len(table.columns))), _LOOKED_AT_ROWS)
        if not isinstance(values, BadRow)
    ]
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(table.columns)
    return {n: _of(c) for n, c in zip(table.columns, columns, strict=True)}, len(rows)


def _of(values: Sequence[object]) -> _Look:
    cells = [cell for value in values if (cell := _cell(value))]
    count = len(cells) or 1
    return _Look(
        filled=len(cells),
        words=sum(len(cell.split()) for cell in cells) / count,
        characters=sum(map(len, cells)) / count,
        numbers=sum(_NUMBER.fullmatch(cell) is not None for cell in cells) / count,
        dates=sum(_DATE.fullmatch(cell) is not None for cell in cells) / count,
        codes=sum(map(_is_code, cells)) / count,
        values=len({canonical(cell) for cell in cells}),
    )


def _is_code(cell: str) -> bool:
    return len(cell) <= _LONGEST_CODE and _CODE.fullmatch(cell) is not None


def _cell(value: object) -> str:
    if value is None or value is ABSENT or value != value:
        return ""
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    return "" if isinstance(value, list | dict | bytes) else str(value).strip()


def _are_predictions(names: Sequence[str]) -> bool:
    """Whether `agnews` wrote them: the test rows' predictions of a run."""
    return {"row", "predicted"} <= set(names) and any(map(_PROBABILITY.fullmatch, names))


def predicted_column(names: Sequence[str]) -> str | None:
    """The column with the answers of `agnews predict`, which has probabilities beside it."""
    if sum(_PROBABILITY.fullmatch(name) is not None for name in names) < 2:
        return None
    return next((name for name in ("predicted_label", "label") if name in names), None)


def some(names: Sequence[str], most: int = 12) -> str:
    """A list for a message, cut when it is long."""
    more = f", … ({len(names)} in all)" if len(names) > most else ""
    return ", ".join(name if len(name) < 60 else name[:57] + "…" for name in names[:most]) + more
