"""How good a classifier is on one split: figures with intervals, ready for `evaluation.json`."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from agnews_cli.core.run import looks
from agnews_cli.core.run.looks import TakenLook


class _Facts(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Interval(_Facts):
    """A figure with its 95% interval."""

    value: float
    low: float
    high: float
    method: Literal["wilson", "bootstrap", "sidak"]


class ClassFigures(_Facts):
    label: str
    precision: float
    recall: float
    f1: float
    rows: int


class Mistake(_Facts):
    row: int
    text: str
    label: str
    predicted: str
    probability: float


class SplitEvaluation(_Facts):
    rows: int
    accuracy: Interval
    macro_f1: Interval
    """Over the classes that have rows here."""
    loss: float
    """Mean cross-entropy, in nats."""
    calibration_error: float
    """Expected calibration error, 15 equal-width bins (Guo et al. 2017)."""
    classes: tuple[ClassFigures, ...]
    confusion: tuple[tuple[int, ...], ...]
    """Rows are true classes, columns predicted ones."""
    mistakes: tuple[Mistake, ...] = ()
    chose: bool = False
    """Whether these rows also chose what is delivered, so that their figures are too good."""
    rows_in_training: int = 0
    """Rows whose text is a training text too, but for case, spaces and signs."""
    accuracy_without_them: float | None = None
    """Of the other rows, where more than 1% were in training."""
    held_out_of: int = 0
    """Of so many training rows these were held out; 0: the data have such a split of their own."""

    @property
    def absent(self) -> int:
        """Classes without a row here; macro-F1 is over the others."""
        return sum(not figures.rows for figures in self.classes)

    def as_json(self) -> dict[str, Any]:
        """Accuracy and macro-F1 as plain numbers, for programs; intervals under their own name."""
        facts = self.model_dump(mode="json")
        intervals = {name: facts[name] for name in ("accuracy", "macro_f1")}
        return facts | {n: i["value"] for n, i in intervals.items()} | {"intervals": intervals}


class Evaluation(_Facts):
    """Contents of `evaluation.json`."""

    schema_version: Literal[1] = 1
    labels: tuple[str, ...]
    validation: SplitEvaluation
    test: SplitEvaluation | None = None
    look: TakenLook | None = None
    """At the test rows; None of what an older agnews evaluated."""

    @property
    def best_of(self) -> Interval | None:
        """The test accuracy's 95% interval as that of the best of so many looks; None of one."""
        if self.test is None or self.look is None or self.look.looks < 2:
            return None
        share, rows = self.test.accuracy.value, self.test.rows
        low, high = looks.best_of(share, rows, self.look.looks)
        return Interval(value=share, low=low, high=high, method="sidak")

    def as_json(self) -> dict[str, Any]:
        """As in `--json` (docs/json.md)."""
        return {
            "labels": list(self.labels),
            "validation": self.validation.as_json(),
            "test": self.test.as_json() if self.test else None,
            "look": self.look and self.look.as_json(),
            "best_of": (best := self.best_of) and best.model_dump(),
        }
