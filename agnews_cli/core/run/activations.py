"""What autograd keeps of a forward pass until it goes backwards: bytes, by what they grow with.

A family's figures are those that `benchmarks/activations.py` reads from autograd, which keeps the
same tensors whatever the sizes: so one small model of a family tells of all of them.
"""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

World = Literal["cpu-fp32", "cpu-half", "gpu-fp32", "gpu-half"]
"""Where and how it is computed: on a CPU our own dropout and attention keep other tensors, and in
half precision matrices are multiplied in 16 bits and norms in 32."""
Bytes = Annotated[float, Field(ge=0, le=10**6)]


@dataclass(frozen=True, slots=True)
class Sizes:
    """Of a model and a batch."""

    hidden: int
    heads: int
    """Their number."""
    head_width: int
    """Of all heads together."""
    kv_width: int
    intermediate: int
    texts: int
    length: int
    """Tokens of each text, padding included."""
    window: int
    """Tokens that one token's attention looks at."""


class KeptActivations(BaseModel):
    """Bytes of each of these; times the width, those that have one."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True, allow_inf_nan=False)

    hidden: Bytes = Field(0, description="A token, times the width of the states.")
    heads: Bytes = Field(0, description="A token, times the width of all heads.")
    kv: Bytes = Field(0, description="A token, times the width of all keys.")
    intermediate: Bytes = Field(0, description="A token, times the feed-forward's width.")
    scores: Bytes = Field(0, description="A pair of tokens, in each head.")
    mask: Bytes = Field(0, description="A pair of tokens.")
    each_head: Bytes = Field(0, description="A token in each head.")
    token: Bytes = Field(0, description="A token.")
    each_text: Bytes = Field(0, description="A text, times the width of the states.")
    table: Bytes = Field(0, description="Once, times the width of the states.")
    once: Bytes = Field(0, description="A pair of positions, in each head, once.")

    def bytes_of(self, of: Sizes) -> float:
        tokens = of.texts * of.length
        return (
            self.hidden * tokens * of.hidden
            + self.heads * tokens * of.head_width
            + self.kv * tokens * of.kv_width
            + self.intermediate * tokens * of.intermediate
            + self.scores * tokens * of.window * of.heads
            + self.mask * tokens * of.window
            + self.each_head * tokens * of.heads
            + self.token * tokens
            + self.each_text * of.texts * of.hidden
            + self.table * of.hidden
            + self.once * of.length**2 * of.heads
        )


class Activations(BaseModel):
    """Of one block, and outside of all blocks."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    trained: KeptActivations = Field(description="Of a block whose weights are trained.")
    frozen: KeptActivations = Field(
        description="Of a block whose weights are not, but what is below them."
    )
    outside: KeptActivations = Field(
        description="Of embeddings, and from the last block to the head."
    )


_USUAL = KeptActivations.model_construct(hidden=44, intermediate=16, scores=12, token=16)
_OUTSIDE = KeptActivations.model_construct(hidden=16)
USUAL = Activations.model_construct(trained=_USUAL, frozen=_USUAL, outside=_OUTSIDE)
"""Of a family that nobody measured: as much as most of those that somebody did, or more."""
