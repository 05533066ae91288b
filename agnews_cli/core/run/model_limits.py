"""How far recipes and ensembles may go before somebody must say why: `presets/limits.yaml`.

A group is a field of `ModelLimits`, with a strict model of its own: a further one is one more. What
is beyond a limit is refused unless a reason is given, which the record keeps.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Final, get_args

from pydantic import BaseModel, ConfigDict, Field, field_validator

from agnews_cli.core.run.anatomy import Anatomy
from agnews_cli.core.run.diversity import DiversityLimits
from agnews_cli.core.run.method import Method
from agnews_cli.core.run.preset import Preset

EVERY: Final = "every"
"""The group of limits that hold whatever the method."""
_RELATIVE_RATES = ("adafactor",)
"""Optimizers whose rate is relative to the weights, so that no limit of a rate means it."""
MEMBERS: Final = "members"
BEYOND: Final = "beyond a limit: "
"""How the record begins what it says of one."""
_TRAINED: Final = "trained_parameters"
_VALIDATIONS: Final = "training.evaluations_per_epoch"
_WHY: Mapping[str, str] = {
    _TRAINED: "so many weights learn few rows by heart, and fit no free GPU",
    "training.epochs": "in so many passes rows are learnt by heart",
    "training.lr": "above it full fine-tuning forgets what was pretrained, or diverges",
    _VALIDATIONS: "between validations nobody sees that it overfits",
    MEMBERS: "each answer costs as many models, and further ones bring little",
}


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True, allow_inf_nan=False)


class TrainingLimits(_Strict):
    """Of one training; None: no limit here."""

    trained_parameters: Annotated[int, Field(gt=0)] | None = None
    epochs: Annotated[float, Field(gt=0)] | None = None
    lr: Annotated[float, Field(gt=0)] | None = None
    evaluations_per_epoch: Annotated[int, Field(gt=0)] | None = None
    """At least so many."""


class ModelLimits(_Strict):
    """The whole file."""

    diversity: DiversityLimits
    training: dict[str, TrainingLimits]
    """By kind of method; those of `every` hold for all of them, where a method has no other."""

    @field_validator("training")
    @classmethod
    def _are_methods(cls, found: dict[str, TrainingLimits]) -> dict[str, TrainingLimits]:
        kinds = [each.model_fields["kind"].default for each in get_args(get_args(Method)[0])]
        unknown = sorted(set(found) - {EVERY, *kinds})
        if unknown:
            raise ValueError(f"{unknown[0]!r} is no method; there are {', '.join(kinds)}")
        return found

    def of(self, method: str) -> TrainingLimits:
        """What holds for a kind of method."""
        usual, own = (self.training.get(name, TrainingLimits()) for name in (EVERY, method))
        return usual.model_copy(update=own.model_dump(exclude_none=True))


@dataclass(frozen=True, slots=True)
class Excess:
    """One thing that is beyond its limit. `field`: of a preset, as `--set` takes it, or what it is
    where none is; `why`: as the preset says, of values up to its own."""

    of: str
    field: str
    value: float
    limit: float
    why: str = ""

    @property
    def words(self) -> str:
        """What is beyond which limit, and what that leads to."""
        which = "the least" if self.field == _VALIDATIONS else "the most"
        return (
            f"{self.of}: {self.field} {_shown(self.value)}, where {_shown(self.limit)} is {which} "
            f"({_WHY[self.field]})"
        )

    def because(self, reason: str) -> str:
        """The same with the reason that was given: what the record keeps."""
        beyond = f"{self.of}: {self.field} {_shown(self.value)}, limit {_shown(self.limit)}"
        return f"{BEYOND}{beyond}; why: {reason}"


def excesses(preset: Preset, limits: ModelLimits, anatomy: Anatomy) -> Iterator[Excess]:
    """What of one training is beyond its limits. `anatomy`: of its model, as far as it is known."""
    most, training, hurried = limits.of(preset.method.kind), preset.training, preset.short_of_time
    is_free = training.optimizer in _RELATIVE_RATES or preset.network is not None
    rate = None if is_free else most.lr  # a small network's layers were not pretrained
    epochs, lr = max(training.epochs, hurried.epochs or 0), max(training.lr, hurried.lr or 0)
    trained = preset.method.trained_parameters(anatomy)
    asked: tuple[tuple[str, float, float | None], ...] = (
        (_TRAINED, trained, most.trained_parameters),
        ("training.epochs", epochs, most.epochs),
        ("training.lr", lr, rate),
    )
    for field, value, limit in asked:
        if limit is not None and value > limit and preset.reads(field):
            yield Excess(preset.name, field, value, limit, _said(preset, field, value))
    least, validated = most.evaluations_per_epoch, training.evaluations_per_epoch
    if least is not None and validated < least and preset.reads(_VALIDATIONS):
        why = _said(preset, _VALIDATIONS, validated, is_least=True)
        yield Excess(preset.name, _VALIDATIONS, validated, least, why)


def _said(preset: Preset, field: str, value: float, *, is_least: bool = False) -> str:
    """The preset's own reason, where it goes so far."""
    said = (one for one in preset.beyond_limits if one.field == field)
    return next((o.why for o in said if (value >= o.to if is_least else value <= o.to)), "")


def _shown(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:,g}"
