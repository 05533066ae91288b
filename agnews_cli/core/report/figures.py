"""What the process that makes a report's figures and pictures is asked, and what it answers."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from agnews_cli.core.report.curves import Curve
from agnews_cli.core.run.comparison import Comparison
from agnews_cli.core.run.diversity import Diversity
from agnews_cli.core.run.evaluation import Interval

On = Literal["test", "validation"]


class _Facts(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ToReport(_Facts):
    """Folders of runs; of an ensemble also those of its parts."""

    folders: tuple[str, ...]
    side_by_side: Comparison | None = None
    """What one more picture shows."""


class Bin(_Facts):
    """Rows whose answer is about equally sure."""

    low: float
    high: float
    rows: int
    confidence: float
    """Their mean probability of the answer."""
    right: float
    """The share of them that is right."""


class Reliability(_Facts):
    """How far probabilities can be taken as they are, on rows that did not fit `temperature`."""

    on: On
    rows: int
    temperature: float
    """By which the logits are divided between `before` and `after`."""
    how: Literal["built in", "fitted"]
    """*built in*: `after` is what is delivered. *fitted*: `before` is, and the temperature comes
    from the rows that validated (where these are `on`, from the other half of them)."""
    before: tuple[Bin, ...]
    after: tuple[Bin, ...]
    error_before: float
    """Expected calibration error, as everywhere: 15 bins of equal width."""
    error_after: float


class ClassIntervals(_Facts):
    """Of one class, with 95%: Wilson's of the rows that it is a share of. F1 is a growing function
    of the share tp / (tp + fp + fn), whose interval it takes."""

    label: str
    rows: int
    precision: Interval
    recall: Interval
    f1: Interval


class OddRow(_Facts):
    """A row that validated, by what a model that did not train on it says of it."""

    digest: str
    """Of its text: the first 16 hex digits of its SHA-256."""
    text: str | None
    """None where the data are no longer where they were."""
    label: str
    predicted: str
    label_probability: float
    predicted_probability: float


class Noise(_Facts):
    """Likely label errors by confident learning on what was said of the rows that validated."""

    asked: int
    suspects: int


class RunFigures(_Facts):
    """`pictures`: SVG by name; none where matplotlib is not installed, or nothing is to be seen."""

    run: str
    curves: tuple[Curve, ...] = ()
    on: On | None = None
    """Which rows `classes` are of."""
    classes: tuple[ClassIntervals, ...] = ()
    reliability: Reliability | None = None
    hardest: tuple[OddRow, ...] = ()
    mislabelled: tuple[OddRow, ...] = ()
    noise: Noise | None = None
    diversity: Diversity | None = None
    members: Comparison | None = None
    """The members of an ensemble and itself, on the rows `on`."""
    pictures: dict[str, str] = {}


class Figured(_Facts):
    """`missing`: what pictures would need that is not installed; empty where all is there."""

    runs: tuple[RunFigures, ...]
    picture: str = ""
    """SVG of `side_by_side`, or empty."""
    missing: str = ""
