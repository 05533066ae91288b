"""What was measured of a data set before training, and what the process that measures is asked."""

from __future__ import annotations

from typing import Final, Literal

from pydantic import BaseModel, ConfigDict

from agnews_cli.core.run.dataset import Dataset, Split

Grade = Literal["exact", "copy", "same story", "same meaning"]
"""*exact*: the same letters and digits. *copy*: Jaccard similarity of character 5-grams of at least
0.8, or nine tenths of the shorter lie in the longer; and a shorter one of under 120 characters has
no number that the longer has not. *same story*: a similarity of at least 0.5, or seven tenths of
the shorter in the longer at 0.35. *same meaning*: sentence embeddings with a cosine over 0.98."""

SAME_TEXT: Final[frozenset[Grade]] = frozenset({"exact", "copy"})
"""Grades of rows that say the same; the others are often two articles on one event."""

SPLITS_IN_ORDER: Final[tuple[Split, ...]] = ("test", "validation", "train")
"""Where a text stands in several, the first of these keeps it."""


class _Facts(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ToCheck(_Facts):
    """What the process is asked that looks at the rows of a data set."""

    rows: dict[Split, str]
    """Files of clean rows (`store.data.row_file`), by split."""
    dataset: Dataset | None = None
    """Where such files could not be kept: the data themselves."""
    labels: tuple[str, ...]
    is_quick: bool = False
    """Only what takes seconds: nothing that is nearly the same, and no model."""
    encoder: str | None = None
    """The folder of a sentence encoder that says what means the same; None: nobody is asked."""
    wants_rows: bool = False
    """Whether each row is named that a cleaned copy should leave out."""
    seed: int = 0


class RowPlace(_Facts):
    split: Split
    row: int
    """Its number among the rows of the split that are used, from 0."""
    label: int
    text: str
    """How it begins."""


class PairFound(_Facts):
    one: RowPlace
    other: RowPlace
    grade: Grade
    similarity: float
    """Jaccard's, of the sets of 5-grams; a cosine for what means the same."""
    contained: float
    """The share of the shorter one's 5-grams that the longer has."""


class Repeated(_Facts):
    """Rows of `split` that repeat rows of `of`; inside one split, earlier rows."""

    split: Split
    of: Split
    exact: int
    copy_: int
    same_story: int
    same_meaning: int = 0
    of_rows: int
    """Rows of `of` that are repeated, exactly or as a copy."""
    examples: tuple[PairFound, ...] = ()

    @property
    def same_text(self) -> int:
        return self.exact + self.copy_


class Conflicts(_Facts):
    """Training rows whose text stands with another label too."""

    texts: int = 0
    rows: int = 0
    unavoidable: int = 0
    """Rows that any function of the text gets wrong, which answers the commonest label."""
    copies: int = 0
    """Pairs of copies, not exact, of which each has another label."""
    examples: tuple[PairFound, ...] = ()


class Repeats(_Facts):
    """Which rows repeat others. `compared`: how many texts were looked at for what is nearly the
    same, of `texts` different ones; 0: none, as asked."""

    texts: int
    compared: int
    found: tuple[Repeated, ...]
    conflicts: Conflicts


class Shift(_Facts):
    """How far a split is from the training rows."""

    split: Split
    rows: int
    train_rows: int
    label_p: float
    """Pearson's χ² test of homogeneity."""
    label_effect: float
    """Cramér's V, in [0, 1]."""
    length_p: float
    """Kolmogorov and Smirnov's test of two samples, of lengths in characters."""
    length_effect: float
    """Their statistic, the largest distance between the two distributions."""
    unseen: float
    """Share of the words that no training text has."""
    unseen_usual: float
    """The same share in as many training rows that were held out."""
    told_apart: float
    """How often a classifier says rightly which of the two a row is of; by chance 0.5."""
    told_apart_p: float
    words: tuple[str, ...] = ()
    """Those that tell them apart best."""


class Suspect(_Facts):
    """A row whose label the others speak against."""

    place: RowPlace
    likely: int
    """The class that it looks like."""
    given_probability: float
    likely_probability: float


class Suspects(_Facts):
    """Likely label errors among the training rows, the likeliest first."""

    asked: int
    """How many rows were asked about; 0: none."""
    accuracy: float
    """Of the linear model, on rows that it did not see."""
    count: int
    rows: tuple[Suspect, ...] = ()


class Giveaway(_Facts):
    """A word that nearly only one class has, and most of its texts."""

    word: str
    label: int
    coverage: float
    """The share of the class's texts that have it."""
    precision: float
    """The share of the texts with it that are of the class."""


class Removal(_Facts):
    """A row that a cleaned copy leaves out."""

    split: Split
    row: int
    why: str
    of: RowPlace | None = None
    similarity: float | None = None


class DataFacts(_Facts):
    """All that was measured of the rows."""

    split_rows: dict[Split, int]
    repeats: Repeats
    shifts: tuple[Shift, ...] = ()
    suspects: Suspects | None = None
    giveaways: tuple[Giveaway, ...] = ()
    removals: tuple[Removal, ...] = ()
