"""What a labelled data set is: where each split lies, its columns and its class names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict

Split = Literal["train", "validation", "test"]
Format = Literal["csv", "tsv", "jsonl", "parquet", "hub"]


class File(BaseModel):
    """One split in one file. For a hub data set `path` is its id and `part` the split's name."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: str
    format: Format
    rows: int
    sha256: str
    header: bool = True
    part: str = ""


class Dataset(BaseModel):
    """Facts about a data set, read once by the light world and handed to the worker.

    `labels` are the class names in class order, as they appear in results; `label_values` are the
    spellings in the file, in the same order (AG News: `1`..`4` for World..Sci/Tech).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    train: File
    validation: File | None = None
    test: File | None = None
    text_columns: tuple[str, ...]
    label_column: str
    labels: tuple[str, ...]
    label_values: tuple[str, ...]
    notes: tuple[str, ...] = ()

    def file(self, split: Split) -> File | None:
        return {"train": self.train, "validation": self.validation, "test": self.test}[split]


@dataclass(frozen=True, slots=True)
class Rows:
    """Texts and their class numbers (0-based, into `Dataset.labels`), in file order."""

    texts: Sequence[str]
    classes: Sequence[int]
