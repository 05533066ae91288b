"""What is measured of a data set before advice is given, and what the process is asked for it."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from agnews_cli.core.run.dataset import Dataset


class _Facts(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ToMeasure(_Facts):
    """An order to the process that measures."""

    rows: str | None
    """The file of clean training rows (`store.data.row_file`)."""
    dataset: Dataset | None = None
    """Where such a file could not be kept: the data themselves."""
    classes: int
    encoder: str | None = None
    """The folder of a sentence encoder; None: texts are compared by the words in them."""
    encoder_name: str = ""
    seed: int = 0


class CurvePoint(_Facts):
    """How a model of words does that was trained on so many rows."""

    rows: int
    error: float
    """Share of the held-out rows that it gets wrong, the mean over `draws`."""
    draws: int
    """How many subsets of that size."""


class LearningCurve(_Facts):
    """Points by the number of rows, the fewest first, all on the same held-out rows."""

    points: tuple[CurvePoint, ...]
    tested: int
    """How many rows were held out."""


class TextDimension(_Facts):
    """In how many directions texts vary: their intrinsic dimension."""

    value: float
    of: str
    """What of the texts it was measured on."""
    texts: int


class LabelDoubts(_Facts):
    """Likely label errors (`learn/checks/suspects`), and a trial without them."""

    asked: int
    suspects: int
    gain: float
    """How much more of the held-out rows are right when the suspects are left out of training."""
    gain_error: float
    """Its standard error, in pairs."""


class MeasuredData(_Facts):
    """None: it could not be measured."""

    curve: LearningCurve | None
    dimension: TextDimension | None
    doubts: LabelDoubts | None
