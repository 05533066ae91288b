"""Presets of several models, as they are written: they name other presets and repeat nothing.

What they mean, with every preset that they name in its place, is a shape (`core.graph.shapes`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from agnews_cli.core.run.diversity import DiversityLimits
from agnews_cli.core.run.expected import Measured, Published
from agnews_cli.core.run.preset import MOST_SNAPSHOTS, Data, Naming
from agnews_cli.core.run.work import Average, Combiner, Distillation, Form, RunId

MOST_MEMBERS = 100
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]*$")]
Folds = Annotated[int, Field(ge=2, le=20)]


def _name_or_whole(given: Any) -> Any:
    if given is None or isinstance(given, dict) or (isinstance(given, str) and given):
        return given
    raise PydanticCustomError("preset", "should be a preset's name, a file or a whole preset")


AsWritten = Annotated[Any, AfterValidator(_name_or_whole)]
"""A preset's name or file, or all of its fields in its place; these are checked when it is read."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True, allow_inf_nan=False)


class MemberOf(_Strict):
    """Another preset, and what is different of it here."""

    preset: AsWritten = Field(
        None,
        description="Another preset by its name or file, of any tier; or all of its fields.",
    )
    run: RunId | None = Field(
        None, description="In the place of a preset, a finished run of the same store."
    )
    has_model: bool = Field(True, description="Of a run: false where only its answers are there.")
    seed: Seed = Field(0, description="Added to the seed that is asked for (--seed).")
    settings: tuple[str, ...] = Field(
        (), description="What is different of it, as --set takes it: training.lr=3e-5."
    )
    snapshots: Annotated[int, Field(ge=2, le=MOST_SNAPSHOTS)] | None = Field(
        None,
        description="Of an ensemble's member: it is trained once, by the schedule `cyclic` with so "
        "many cycles, and the weights at the end of each are a member (Huang et al. 2017).",
    )

    @model_validator(mode="after")
    def _is_one_of_both(self) -> MemberOf:
        if (self.preset is None) == (self.run is None):
            raise PydanticCustomError("member", "should have a preset, or a run")
        if self.run is not None and (self.settings or self.seed or self.snapshots):
            said = "is finished: it takes no seed, no settings and no snapshots"
            raise PydanticCustomError("run", said)
        return self


class EnsemblePreset(_Strict):
    name: Name
    tier: Literal["ensemble", Naming]
    summary: str = Field(description="One line: what it is good for.")
    order: int = Field(description="Our order of preference, higher first; not a measurement.")
    members: Annotated[tuple[MemberOf, ...], Field(min_length=1, max_length=MOST_MEMBERS)] = Field(
        description="What is trained; the first one's `data` draws the rows that validate all."
    )
    how: Combiner = Field(Average.model_construct(), description="How members become one.")
    folds: Folds | None = Field(
        None,
        description="Each member is also trained without each of so many parts by turns, and what "
        "it says of the part that it has not seen is what `how` learns from. None: it learns from "
        "the rows that validate.",
    )
    limits: DiversityLimits = DiversityLimits.model_construct()
    data: Data | None = Field(
        None, description="Which rows validate, where no member is trained. None: as usual."
    )
    measured: tuple[Measured, ...] = ()
    published: tuple[Published, ...] = ()


class DistilledPreset(_Strict):
    name: Name
    tier: Literal["distilled", Naming]
    summary: str = Field(description="One line: what it is good for.")
    order: int = Field(description="Our order of preference, higher first; not a measurement.")
    teacher: MemberOf = Field(description="Who is learned from: a preset of any tier.")
    student: MemberOf = Field(description="Who learns: a preset of one model.")
    distillation: Distillation = Distillation.model_construct()
    folds: Folds | None = Field(
        None,
        description="The teacher is also trained without each of so many parts by turns, and the "
        "student is told of each row by one that has not seen it. None: by the teacher itself.",
    )
    export: Form | None = Field(
        None,
        description="What is asked for ends in an export of the student to this form, verified "
        "beside the model in fp32 and evaluated itself. Not of a teacher or a member.",
    )
    measured: tuple[Measured, ...] = ()
    published: tuple[Published, ...] = ()


Composed = EnsemblePreset | DistilledPreset
OF_TIER: Mapping[str, type[Composed]] = {"ensemble": EnsemblePreset, "distilled": DistilledPreset}
