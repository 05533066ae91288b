"""Rows that repeat others, inside a split and between splits, and what a cleaned copy leaves out.

Texts are looked at once each: rows of the same letters and digits are one text, and what is nearly
the same is looked for among texts. A text that stands in several splits is kept by the first of
test, validation, train: a test split is never changed.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement

import numpy as np
from numpy.typing import NDArray

from agnews_cli.core.guards.data_facts import (
    SPLITS_IN_ORDER,
    Conflicts,
    Grade,
    PairFound,
    Removal,
    Repeated,
    Repeats,
    RowPlace,
)
from agnews_cli.core.run.dataset import Rows, Split
from agnews_cli.learn.checks.near import NearPairs, near_pairs
from agnews_cli.learn.checks.shingles import MOST_CHARACTERS, shingles
from agnews_cli.learn.rows import overlap

MOST_BYTES = 1_500_000_000
"""Of memory: for the rows, and for the 5-grams of texts that are compared and their indexes."""
_BYTES_A_CHARACTER, _BYTES_A_ROW = 36, 120
"""What comparing takes, measured with 127,600 texts; and what a row takes beside its text."""
LEAST_COMPARED_CHARACTERS = 5_000_000
SHORT_CHARACTERS = 120
"""In a shorter text a number is much of what is said. Of 200 judged copies of news ten differ in
one, the shortest of which has 180 characters."""
_NUMBER = re.compile(r"\d+")
_SHOWN = 3
_SHOWN_CHARACTERS = 200

Indices = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class DistinctTexts:
    """The rows of all splits, those of the test split first, and which of them have one text."""

    rows: Mapping[Split, Rows]
    splits: tuple[Split, ...]
    split: NDArray[np.int8]
    """Of each row, (rows,): its place in `splits`."""
    label: Indices
    text_of: Indices
    """The text of each row, (rows,), by number: in the order in which they are met."""
    first: Indices
    """The first row of each text, (texts,)."""
    characters: Indices
    """Of each row, no more than are compared."""

    @property
    def starts(self) -> Indices:
        """The number of each split's first row."""
        sizes = [len(self.rows[split].classes) for split in self.splits]
        return np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)

    def counts(self, split: Split) -> Indices:
        """How many rows of a split have each text, (texts,)."""
        of_split = self.text_of[self.split == self.splits.index(split)]
        return np.bincount(of_split, minlength=len(self.first)).astype(np.int64)

    def place(self, row: int) -> RowPlace:
        split = self.splits[self.split[row]]
        number = row - int(self.starts[self.splits.index(split)])
        text = self.text(row)
        return RowPlace(
            split=split, row=number, label=int(self.label[row]), text=text[:_SHOWN_CHARACTERS]
        )

    def text(self, row: int) -> str:
        at = int(self.split[row])
        return self.rows[self.splits[at]].texts[row - int(self.starts[at])]


def texts_of(rows: Mapping[Split, Rows]) -> DistinctTexts:
    """All rows, and which have the same letters and digits."""
    splits = tuple(split for split in SPLITS_IN_ORDER if split in rows)
    sizes = [len(rows[split].classes) for split in splits]
    characters = np.empty(sum(sizes), dtype=np.int64)

    def told() -> Iterator[str]:
        at = 0
        for split in splits:
            for text in rows[split].texts:
                characters[at] = min(len(text), MOST_CHARACTERS)
                at += 1
                yield text

    found = overlap.hashes(told())
    _, first, text_of = np.unique(found, return_index=True, return_inverse=True)
    order = np.argsort(first)
    number = np.empty_like(order)
    number[order] = np.arange(len(order))
    labels = [np.asarray(rows[split].classes, dtype=np.int64) for split in splits]
    return DistinctTexts(
        rows=rows,
        splits=splits,
        split=np.repeat(np.arange(len(splits), dtype=np.int8), sizes),
        label=np.concatenate([np.empty(0, dtype=np.int64), *labels]),
        text_of=number[text_of].astype(np.int64),
        first=first[order].astype(np.int64),
        characters=characters,
    )


@dataclass(frozen=True, slots=True)
class NearTexts:
    """Pairs of texts that are nearly the same, by their numbers; `one` is met first."""

    one: Indices
    two: Indices
    similarity: NDArray[np.float64]
    contained: NDArray[np.float64]
    grade: NDArray[np.int8]
    """0: copy, 1: same story, 2: same meaning."""
    compared: int


GRADES: tuple[Grade, ...] = ("copy", "same story", "same meaning")


def near_texts(texts: DistinctTexts, *, is_quick: bool, seed: int) -> NearTexts:
    """Of all texts, or of as many training texts as memory allows, beside all others."""
    if is_quick:
        none = np.empty(0, dtype=np.int64)
        nothing = none.astype(np.float64)
        return NearTexts(none, none, nothing, nothing, none.astype(np.int8), 0)
    chosen = compared(texts, seed)
    found: NearPairs = near_pairs(shingles(texts.text(int(texts.first[at])) for at in chosen))
    one, two = chosen[found.one], chosen[found.two]
    is_copy = found.is_copy.copy()
    for at in np.flatnonzero(is_copy):
        is_copy[at] = not other_numbers(*(texts.text(int(texts.first[t[at]])) for t in (one, two)))
    return NearTexts(
        one=one,
        two=two,
        similarity=found.similarity,
        contained=found.contained,
        grade=np.where(is_copy, 0, 1).astype(np.int8),
        compared=len(chosen),
    )


def other_numbers(one: str, two: str) -> bool:
    """Whether the shorter text is short and has a number that the longer has not: two orders, two
    years. Long texts are reports that were brought up to date."""
    short, long = sorted((one, two), key=len)
    if len(short) >= SHORT_CHARACTERS:
        return False
    return bool(Counter(_NUMBER.findall(short)) - Counter(_NUMBER.findall(long)))


def compared(texts: DistinctTexts, seed: int) -> Indices:
    """Numbers of texts, rising: those of test and validation rows before any others."""
    characters, most = texts.characters[texts.first], most_characters(texts)
    if characters.sum() <= most:
        return np.arange(len(texts.first))
    rng = np.random.Generator(np.random.PCG64([seed, 0xC0FFEE]))
    is_trained = texts.split[texts.first] == texts.splits.index("train")
    order = np.lexsort((rng.random(len(characters)), is_trained))
    fits = np.cumsum(characters[order]) <= most
    return np.sort(order[fits])


def most_characters(texts: DistinctTexts) -> int:
    """Of the texts that are compared: for so many there is memory beside the rows."""
    rows_bytes = len(texts.label) * _BYTES_A_ROW + int(texts.characters.sum())
    return max(LEAST_COMPARED_CHARACTERS, (MOST_BYTES - rows_bytes) // _BYTES_A_CHARACTER)


# ---- what is told -------------------------------------------------------------------------------


def repeats(texts: DistinctTexts, near: NearTexts) -> Repeats:
    """Of each split, how many of its rows repeat rows of each other one, and of its own."""
    told = []
    for of, split in combinations_with_replacement(texts.splits, 2):
        found = _repeated(texts, near, split, of)
        if found is not None:
            told.append(found)
    return Repeats(
        texts=len(texts.first),
        compared=near.compared,
        found=tuple(told),
        conflicts=_conflicts(texts, near),
    )


def _repeated(texts: DistinctTexts, near: NearTexts, split: Split, of: Split) -> Repeated | None:
    here, there = texts.counts(split), texts.counts(of)
    if split == of:
        exact, again = int(np.maximum(here - 1, 0).sum()), here > 1
        left = np.minimum(here, 1)  # the first row of each text
    else:
        again = (here > 0) & (there > 0)
        exact, left = int(here[again].sum()), np.where(again, 0, here)
    repeated = again.copy()  # texts of `of`
    rows: dict[Grade, int] = {}
    examples = _exact_examples(texts, split, of, again)
    for number, grade in enumerate(GRADES):
        of_grade = near.grade == number
        one, two = near.one[of_grade], near.two[of_grade]
        both = [(one, two)] if split == of else [(one, two), (two, one)]
        hit = np.zeros(len(here), dtype=np.bool_)
        for kept, later in both:
            is_one = (there[kept] > 0) & (left[later] > 0)
            hit[later[is_one]] = True
            if grade == "copy":
                repeated[kept[is_one]] = True
        rows[grade] = int(left[hit].sum())
        left = np.where(hit, 0, left)
        examples += _near_examples(texts, near, np.flatnonzero(of_grade), split, of, here, there)
    if not exact and not any(rows.values()):
        return None
    return Repeated(
        split=split,
        of=of,
        exact=exact,
        copy_=rows["copy"],
        same_story=rows["same story"],
        same_meaning=rows["same meaning"],
        of_rows=int((np.minimum(there, 1) if split == of else there)[repeated].sum()),
        examples=tuple(examples),
    )


def _exact_examples(
    texts: DistinctTexts, split: Split, of: Split, again: NDArray[np.bool_]
) -> list[PairFound]:
    found = []
    for text in np.flatnonzero(again)[:_SHOWN]:
        rows = np.flatnonzero(texts.text_of == text)
        first = rows[texts.split[rows] == texts.splits.index(of)][0]
        last = rows[texts.split[rows] == texts.splits.index(split)][-1]
        found.append(_pair(texts, int(first), int(last), "exact", 1.0, 1.0))
    return found


def _near_examples(
    texts: DistinctTexts,
    near: NearTexts,
    pairs: Indices,
    split: Split,
    of: Split,
    here: Indices,
    there: Indices,
) -> list[PairFound]:
    one, two = near.one[pairs], near.two[pairs]
    fits = ((there[one] > 0) & (here[two] > 0)) | ((there[two] > 0) & (here[one] > 0))
    order = pairs[fits][np.argsort(-near.similarity[pairs[fits]], kind="stable")][:_SHOWN]
    return [_near_pair(texts, near, int(pair)) for pair in order]


def _near_pair(texts: DistinctTexts, near: NearTexts, pair: int) -> PairFound:
    rows = (int(texts.first[near.one[pair]]), int(texts.first[near.two[pair]]))
    grade = GRADES[near.grade[pair]]
    return _pair(texts, *rows, grade, float(near.similarity[pair]), float(near.contained[pair]))


def _pair(
    texts: DistinctTexts, one: int, other: int, grade: Grade, similarity: float, contained: float
) -> PairFound:
    return PairFound(
        one=texts.place(one),
        other=texts.place(other),
        grade=grade,
        similarity=similarity,
        contained=contained,
    )


# ---- labels that contradict each other ----------------------------------------------------------


def votes(texts: DistinctTexts) -> tuple[Indices, Indices, Indices]:
    """(texts of several labels, their training rows, those of the commonest label), by text."""
    trained = texts.split == texts.splits.index("train")
    labels = int(texts.label.max(initial=0)) + 2  # -1 is one, too
    pairs, rows = np.unique(
        texts.text_of[trained] * labels + texts.label[trained] + 1, return_counts=True
    )
    text = pairs // labels
    total = np.bincount(text, weights=rows, minlength=len(texts.first)).astype(np.int64)
    most = np.zeros(len(texts.first), dtype=np.int64)
    np.maximum.at(most, text, rows)
    several = np.flatnonzero(most < total)
    return several, total[several], most[several]


def _conflicts(texts: DistinctTexts, near: NearTexts) -> Conflicts:
    several, total, most = votes(texts)
    apart = near.grade == 0
    apart &= texts.label[texts.first[near.one]] != texts.label[texts.first[near.two]]
    examples = []
    for text in several[:_SHOWN]:
        rows = np.flatnonzero((texts.text_of == text) & (texts.split == len(texts.splits) - 1))
        other = rows[texts.label[rows] != texts.label[rows[0]]][0]
        examples.append(_pair(texts, int(rows[0]), int(other), "exact", 1.0, 1.0))
    examples += [_near_pair(texts, near, int(pair)) for pair in np.flatnonzero(apart)[:_SHOWN]]
    return Conflicts(
        texts=len(several),
        rows=int(total.sum()),
        unavoidable=int((total - most).sum()),
        copies=int(apart.sum()),
        examples=tuple(examples),
    )


# ---- what a cleaned copy leaves out -------------------------------------------------------------


def removals(texts: DistinctTexts, near: NearTexts) -> tuple[Removal, ...]:
    """Rows of training and validation that say what another row says, and contradictions.

    Of several rows of one text the first is kept, of a copy the text that is met first; a text of
    the test split always is. Of training rows with one text and several labels one row of the
    commonest label is kept where that has more than half of them, else none.
    """
    neighbours = _copies(near)
    is_test = np.zeros(len(texts.first), dtype=np.bool_)
    if "test" in texts.splits:
        is_test = texts.counts("test") > 0
    contradicting = set(votes(texts)[0].tolist())
    alone = np.bincount(texts.text_of, minlength=len(texts.first)) == 1
    rows_of = _grouped(texts, ~alone)
    gone: set[int] = set()
    found: list[Removal] = []
    for text in sorted({*neighbours, *rows_of}):
        rows = rows_of.get(text, [int(texts.first[text])])
        free = [row for row in rows if texts.splits[texts.split[row]] != "test"]
        other = next((n for n in neighbours.get(text, {}) if n < text and n not in gone), None)
        if other is not None and not is_test[text]:
            gone.add(text)
            why = "copy of a row that is kept"
            of, similarity = int(texts.first[other]), neighbours[text][other]
            found += [_removal(texts, row, why, of, similarity) for row in free]
        elif text in contradicting and not is_test[text]:
            found += _contradiction(texts, free)
        else:
            kept = rows[0]
            why = "same text as a row that is kept"
            found += [_removal(texts, row, why, kept, 1.0) for row in free if row != kept]
    return tuple(sorted(found, key=lambda one: (one.split, one.row)))


def _copies(near: NearTexts) -> dict[int, dict[int, float]]:
    """Of each text that is met later, its copies that are met before it, by number."""
    found: dict[int, dict[int, float]] = {}
    is_copy = near.grade == 0
    copies = zip(near.one[is_copy], near.two[is_copy], near.similarity[is_copy], strict=True)
    for one, two, similarity in copies:
        found.setdefault(int(two), {})[int(one)] = float(similarity)
    return {text: dict(sorted(before.items())) for text, before in found.items()}


def _grouped(texts: DistinctTexts, several: NDArray[np.bool_]) -> dict[int, list[int]]:
    rows = np.flatnonzero(several[texts.text_of])
    found: dict[int, list[int]] = {}
    for row, text in zip(rows.tolist(), texts.text_of[rows].tolist(), strict=True):
        found.setdefault(text, []).append(row)
    return found


def _contradiction(texts: DistinctTexts, rows: Sequence[int]) -> list[Removal]:
    labels = texts.label[list(rows)]
    counts = np.bincount(labels)
    commonest = int(counts.argmax())
    if 2 * counts[commonest] > len(rows):
        kept = rows[int(np.flatnonzero(labels == commonest)[0])]
        why = "same text as a row that is kept, whose label most of them have"
        return [_removal(texts, row, why, kept, 1.0) for row in rows if row != kept]
    why = "same text with several labels, none of which most of them have"
    return [_removal(texts, row, why, None, None) for row in rows]


def _removal(
    texts: DistinctTexts, row: int, why: str, of: int | None, similarity: float | None
) -> Removal:
    place = texts.place(row)
    other = None if of is None else texts.place(of)
    return Removal(split=place.split, row=place.row, why=why, of=other, similarity=similarity)
