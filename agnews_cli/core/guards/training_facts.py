"""What is measured while a model is fine-tuned: `guards.json` of a run."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from agnews_cli.core.machine.finding import Finding
from agnews_cli.core.run.diversity import Diversity, DiversityLimits


class _Facts(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class Validated(_Facts):
    """One validation: the event of that name. Losses are in nats a row, as they stand, and not
    calibrated; the training rows are a sample of them, asked as the validation rows are."""

    step: int
    train_loss: float
    train_accuracy: float
    raw_loss: float
    """Of the validation rows."""
    accuracy: float
    """Of the validation rows."""
    gradient_norm: float | None = None
    """Mean over the steps since the last validation, before clipping."""
    gradient_norm_most: float | None = None
    update_rank: float | None = None
    """Effective rank of LoRA's updates (Roy and Vetterli 2007), the mean over layers; None: no
    such updates."""
    teacher_kl: float | None = None
    best: bool = False


class TuningFacts(_Facts):
    """One fine-tuning, when it is over."""

    name: str
    rows: int
    """That train."""
    held_rows: int
    """That validate."""
    sampled_rows: int
    """Of those that train, so many were asked each time."""
    total_steps: int
    """That were planned."""
    clip_norm: float
    rank: int | None = None
    """Of LoRA's updates, as asked."""
    has_stopped_early: bool = False
    validated: tuple[Validated, ...] = ()
    """In the order of steps."""

    @property
    def delivered(self) -> Validated | None:
        """The validation whose weights are delivered; None where nothing validated."""
        best = [one for one in self.validated if one.best]
        return best[-1] if best else (self.validated[-1] if self.validated else None)


class TrainingSeen(_Facts):
    """What a guard of training looks at: one fine-tuning, or how the members of an ensemble err."""

    tuning: TuningFacts | None = None
    diversity: Diversity | None = None
    limits: DiversityLimits = DiversityLimits()


class GuardReport(_Facts):
    """Contents of `guards.json`."""

    schema_: Literal["agnews.guards/1"] = Field("agnews.guards/1", alias="schema")
    tunings: tuple[TuningFacts, ...] = ()
    findings: tuple[dict[str, Any], ...] = ()

    @classmethod
    def of(cls, tunings: tuple[TuningFacts, ...], findings: tuple[Finding, ...]) -> GuardReport:
        """What is written."""
        return cls(tunings=tunings, findings=tuple(one.as_json() for one in findings))
