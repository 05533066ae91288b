"""What goes in and comes out over HTTP, as the OpenAPI page shows it."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, model_validator


class PredictBody(BaseModel):
    """One text, or several."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    text: str | None = Field(None, examples=["Oil prices rose again on Friday"])
    texts: tuple[str, ...] | None = None

    @model_validator(mode="after")
    def _is_one_of_both(self) -> PredictBody:
        if (self.text is None) == (self.texts is None):
            raise ValueError("give either text or texts")
        return self

    @property
    def all(self) -> tuple[str, ...]:
        return (self.text,) if self.text is not None else self.texts or ()


class BatchBody(BaseModel):
    """Many texts."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    texts: tuple[str, ...]


class LabelledText(BaseModel):
    """What the model says of one text."""

    label: str
    probability: float
    """Of the label."""
    probabilities: dict[str, float]
    """Of every class; they sum to one."""


class PredictAnswer(BaseModel):
    """In the order of the texts."""

    model: str
    predictions: list[LabelledText]


class BatchAnswer(BaseModel):
    """In the order of the texts; the columns of `probabilities` are `classes`."""

    model: str
    classes: list[str]
    labels: list[str]
    probabilities: list[list[float]]


class Standing(BaseModel):
    """Of `/health` and `/ready`."""

    state: str
    model: str


class Refusal(BaseModel):
    """Of every answer that is none of the above."""

    detail: str
