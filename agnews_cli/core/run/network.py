"""Small networks on a pretrained model's word embeddings, in the place of its layers: baselines of
the literature. What each is made of is `learn/networks`, one file of the same name."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

FILE = "network.json"
"""Lies in a delivered folder, and says what its weights are of."""
Count = Annotated[int, Field(gt=0, le=100_000)]
Share = Annotated[float, Field(ge=0, lt=1)]


class _Network(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True, allow_inf_nan=False)


class Cnn(_Network):
    kind: Literal["cnn"] = Field(
        "cnn", description="Convolutions over words, and the largest of each (Kim 2014)."
    )
    filters: Count = Field(100, description="Of each width.")
    widths: Annotated[tuple[Annotated[int, Field(gt=0, le=64)], ...], Field(min_length=1)] = Field(
        (3, 4, 5), description="Over how many tokens a filter goes."
    )
    dropout: Share = Field(0.5, description="Before the last layer.")


class Bilstm(_Network):
    kind: Literal["bilstm"] = Field(
        "bilstm",
        description="An LSTM in both directions, and the largest of each state (Graves and "
        "Schmidhuber 2005).",
    )
    width: Count = Field(128, description="Of the state, in each direction.")
    dropout: Share = Field(0.5, description="Before the last layer.")


Network = Annotated[Cnn | Bilstm, Field(discriminator="kind")]
