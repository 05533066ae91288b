"""What of a model is trained: one member of a union for each method, with the numbers that planning
needs. What a method does to a model is `learn/methods`, one file of the same name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

TRAINED_WEIGHT_BYTES = 16
"""The weight itself, its gradient and Adam's two moments, in fp32."""


@dataclass(frozen=True, slots=True)
class Anatomy:
    """Of a classifier, what tells how much of it a method trains."""

    parameters: int
    """With the head."""
    linear: tuple[tuple[str, int, int], ...] = ()
    """Each linear layer below the head: its name, and how wide are its input and output."""
    new: int = 0
    """Parameters that the pretrained weights do not have, the head above all."""


class _Method(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    needs_weights: ClassVar[bool] = True
    """Whether it begins with a pretrained model."""


class Full(_Method):
    kind: Literal["full"] = Field("full", description="Every weight is trained.")

    frozen_weight_bytes: ClassVar[float] = 4
    flops_a_weight: ClassVar[float] = 6
    """Of a step, for each weight and token: 2 forwards and 4 backwards (Kaplan et al. 2020, arXiv
    2001.08361, 2.1)."""

    def trained_parameters(self, model: Anatomy) -> int:
        return model.parameters


class Lora(_Method):
    kind: Literal["lora"] = Field(
        "lora", description="Small updates of frozen weights are trained, and the head."
    )
    rank: Annotated[int, Field(gt=0, le=1_000_000_000)] = Field(
        16, description="LoRA: rank r of the update (Hu et al. 2021)."
    )
    alpha: Annotated[int, Field(gt=0, le=1_000_000_000)] = Field(
        32, description="LoRA: the update is scaled by alpha / rank."
    )
    dropout: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.05, description="LoRA: dropout before the update."
    )
    targets: tuple[str, ...] = Field(
        (), description="LoRA: names of the modules adapted; empty takes every linear layer."
    )

    frozen_weight_bytes: ClassVar[float] = 4
    flops_a_weight: ClassVar[float] = 4
    """Frozen weights need no gradients of their own."""

    def trained_parameters(self, model: Anatomy) -> int:
        """Two matrices of the rank for each adapted layer (Hu et al. 2021, 4.1), and the new."""
        updates = sum(self.rank * (i + o) for name, i, o in model.linear if self._adapts(name))
        return updates + model.new

    def _adapts(self, layer: str) -> bool:
        """A target names a layer, or the end of its path."""
        return not self.targets or any(f".{layer}".endswith(f".{name}") for name in self.targets)


class WordCounts(_Method):
    kind: Literal["linear"] = Field(
        "linear",
        description="No pretrained model: words and characters are counted, and linear "
        "models weigh them.",
    )

    needs_weights: ClassVar[bool] = False
    frozen_weight_bytes: ClassVar[float] = 4
    flops_a_weight: ClassVar[float] = 6
    training_fields: ClassVar[frozenset[str]] = frozenset({"class_weights"})
    """All that there is to set of its training."""

    def trained_parameters(self, model: Anatomy) -> int:
        return model.parameters


Method = Annotated[Full | Lora | WordCounts, Field(discriminator="kind")]
"""Each kind has its own fields, and no others can be set."""


def weights_bytes(method: Method, model: Anatomy) -> int:
    """Of weights, gradients and moments; activations come on top."""
    trained = method.trained_parameters(model)
    frozen = model.parameters - trained
    return int(method.frozen_weight_bytes * frozen) + TRAINED_WEIGHT_BYTES * trained
