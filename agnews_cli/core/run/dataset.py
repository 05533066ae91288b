"""What a labelled data set is: where each split lies, how it is read, its columns and classes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, Self

from pydantic import BaseModel, ConfigDict

Split = Literal["train", "validation", "test", "unlabelled"]
Format = Literal["csv", "tsv", "jsonl", "json", "parquet", "arrow", "hub"]
Cleaning = Literal["none", "markup", "news"]
"""What is done to a text before a model sees it (`store.data.cleaning`)."""

SPLIT_NAMES: Final[Mapping[Split, tuple[str, ...]]] = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test", "testing", "eval", "evaluation"),
}
"""What people call them."""


class _Facts(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


class Reading(_Facts):
    """What the user says of the data; the defaults leave it to agnews to find out."""

    text_columns: tuple[str, ...] = ()
    label_column: str | None = None
    id_column: str | None = None
    """Names each row of a competition's test file; never part of the text."""
    encoding: str | None = None
    """A codec's name, such as `cp1251`. None: UTF-8, UTF-16 or Windows-1252, as the bytes say."""
    header: bool | None = None
    """Whether the first row holds the names of the columns. None: as the row looks."""
    raw_text: bool = False
    """Texts stay as they are: no markup is taken out, no entity decoded."""
    skip_bad_rows: bool = False
    drop_rare: int = 0
    """Classes with fewer training rows than this are left out, with their rows."""
    unlabelled: str | None = None
    """A further file of texts without labels, or with labels that nobody reads."""
    test_share: float | None = None
    """Of the training rows, so large a share becomes the test split where the data have none; 0: no
    row does. None: a tenth, of enough rows (`core.run.test_rows`)."""


class Form(_Facts):
    """How a file's bytes become rows: found out once, and from then on given."""

    format: Format
    compression: Literal["", "gz", "bz2", "xz", "zip"] = ""
    member: str = ""
    """The file inside an archive."""
    encoding: str = "utf-8"
    separator: str = ","
    quoted: bool = True
    """Whether a field may stand in double quotes; otherwise a quote means itself."""
    escaped: bool = False
    """Whether a backslash takes a quote's meaning away, as databases write it."""
    skipped_lines: int = 0
    """Lines before the first row, such as Excel's `sep=;`."""
    header: bool = True


class Draw(_Facts):
    """Which rows of a file are meant, where one file is made into a training and a test split."""

    class_rows: tuple[int, ...]
    """Rows of each class in the whole, in class order."""
    taken: tuple[int, ...]
    """How many of each were drawn for the test split."""
    is_test: bool
    """Whether the drawn rows are meant, or all others."""


class File(_Facts):
    """One split. For a hub data set `path` is its id and `part` the split's name.

    `path` is the file, or the first of `shards` where a split lies in several; `rows` counts the
    rows that can be used; `sha256` is of all bytes, or of all rows where there is no file.
    """

    path: str
    form: Form
    rows: int
    sha256: str
    part: str = ""
    shards: tuple[str, ...] = ()
    split_values: tuple[str, ...] = ()
    """Of the file's rows, those with one of these values in `Dataset.split_column`."""
    class_rows: tuple[int, ...] = ()
    """Rows of each class, in class order; empty where there are no labels."""
    bytes_read: int | None = None
    """Only so much of the file is used (a budget leaves no time for more); None: all of it."""
    draw: Draw | None = None
    """Only these rows of what is said above; None: all of them."""


class Dataset(_Facts):
    """Facts about a data set, read once by the light world and handed to the worker.

    `labels` are the class names in class order, as they appear in results; `label_values` are the
    spellings in the file, in the same order (AG News: `1`..`4` for World..Sci/Tech).
    """

    name: str
    train: File
    validation: File | None = None
    test: File | None = None
    unlabelled: File | None = None
    """Texts of which a student learns what its teacher says; no label of them is read."""
    to_predict: File | None = None
    """Test rows without labels, as competitions have them: predicted, never learned from."""
    sample: str | None = None
    """The file that shows in which form a competition wants its answers."""
    text_columns: tuple[str, ...]
    label_column: str
    id_column: str | None = None
    split_column: str | None = None
    labels: tuple[str, ...]
    label_values: tuple[str, ...]
    cleaning: Cleaning = "markup"
    skip_bad_rows: bool = False
    drop_rare: int = 0
    notes: tuple[str, ...] = ()
    """What was found out and decided about the data."""
    warnings: tuple[str, ...] = ()
    """What the user should look at: it may make the result worse than it need be."""

    @property
    def is_test_drawn(self) -> bool:
        """Whether the test split was made of rows that the data call training rows."""
        return self.test is not None and self.test.draw is not None

    @property
    def without_test(self) -> Self:
        """What whoever trains and chooses may know: nothing says where test rows lie."""
        return self.model_copy(update={"test": None, "to_predict": None, "sample": None})

    def file(self, split: Split) -> File | None:
        return {
            "train": self.train,
            "validation": self.validation,
            "test": self.test,
            "unlabelled": self.unlabelled,
        }[split]


def split_of(name: str) -> Split | None:
    """The split that a file, folder, hub split or cell of this name is."""
    lowered = name.strip().casefold()
    return next((split for split, names in SPLIT_NAMES.items() if lowered in names), None)


@dataclass(frozen=True, slots=True)
class Rows:
    """Texts and their class numbers (0-based, into `Dataset.labels`), in file order; -1: none."""

    texts: Sequence[str]
    classes: Sequence[int]
