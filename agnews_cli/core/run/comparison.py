"""Models on the same rows: figures of each, and of each pair whether they differ by chance."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

from agnews_cli.core.run.evaluation import Interval
from agnews_cli.core.run.latency import Latency


class _Facts(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Compared(_Facts):
    name: str
    accuracy: Interval
    loss: float
    """Mean cross-entropy, in nats."""
    calibration_error: float
    macro_f1: float


class Difference(_Facts):
    """One model's accuracy less another's."""

    one: str
    two: str
    accuracy: Interval
    """Its paired bootstrap interval of 95%."""
    only_one_right: int
    """Rows that `one` alone has right."""
    only_two_right: int
    p: float
    """McNemar's exact test, two-sided."""
    p_holm: float
    """The same as one of so many tests (Holm 1979)."""


class Comparison(_Facts):
    rows: int
    against: str | None
    """The one that all others are compared with; None: each with each."""
    models: tuple[Compared, ...]
    """The most often right first."""
    differences: tuple[Difference, ...]

    def as_json(self) -> dict[str, Any]:
        return self.model_dump(mode="json")


class MemberSize(_Facts):
    """`size_bytes`, `latency`: None where it has no files that answer, or was not measured."""

    name: str
    size_bytes: int | None
    latency: Latency | None = None


class Members(_Facts):
    """Contents of an ensemble's `comparison.json`, but for how differently the members err."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    members: tuple[MemberSize, ...]
    compared: dict[str, Comparison]
    """By split."""


class AnswersOf(_Facts):
    """Files of what one model said of the rows, each row once."""

    name: str
    files: tuple[str, ...]


class ToCompare(_Facts):
    """What the process is asked that compares."""

    models: tuple[AnswersOf, ...]
    against: str | None = "best"
    """As in `Comparison`; `best`: the most often right."""
    seed: int = 0
    is_check: bool = False
    """Only whether all speak of the same rows and classes, and each otherwise; no figures."""
