"""What is known of pretrained models before anything of them is loaded: shapes, sizes, terms.

A family's file in `presets/catalogue` has what its models share, and one entry for each of them; a
new model is a new entry. Everything else is computed from shapes here, without torch.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import log
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from agnews_cli.core.run.activations import Activations, World
from agnews_cli.core.run.anatomy import Anatomy

Positive = Annotated[int, Field(gt=0, le=10**15)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]*$")]
Width = Literal["hidden", "heads", "kv", "intermediate", "embedding", "classes"]
"""`heads` and `kv` are all of them together: their number times `head_dim`."""
_WIDTH = r"(hidden|heads|kv|intermediate|embedding|classes)"
Layer = Annotated[str, Field(pattern=rf"^{_WIDTH} -> {_WIDTH}( \+ {_WIDTH})*$")]
"""A linear layer's widths: `hidden -> heads + kv + kv`."""
Kind = Literal["encoder", "decoder", "encoder-decoder"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True, allow_inf_nan=False)


class PublishedCount(_Strict):
    """How many weights somebody else counted."""

    parameters: Positive
    of: Annotated[str, Field(pattern=r"^AutoModel\w*$")] = Field(
        "AutoModel", description="The class of transformers that has what they counted."
    )
    unlike: str | None = Field(
        None, description="Why the model that is built differs from it by more than 1%."
    )


class Shape(_Strict):
    layers: Positive
    hidden: Positive
    heads: Positive
    kv_heads: Positive | None = Field(None, description="None: as many as heads.")
    head_dim: Positive | None = Field(None, description="None: hidden / heads.")
    intermediate: Positive
    vocabulary: Positive
    positions: Positive | None = Field(None, description="None: its positions are relative.")
    embedding: Positive | None = Field(None, description="Of a token; None: hidden.")


class Listed(_Strict):
    """One model."""

    id: str = Field(description="On the hub.")
    revision: str | None = Field(None, description="Hub commit; None: nobody looked it up.")
    shape: Shape
    parameters: Positive = Field(description="Of the model below the head, counted by building it.")
    published: PublishedCount
    licence: str | None = Field(None, description="Where it differs from its family's.")
    gated: bool | None = Field(None, description="Where it differs from its family's.")
    config: dict[str, Any] = Field({}, description="Of its config.json, what no shape says.")


class Meant(_Strict):
    model: Name
    why: str


class Family(_Strict):
    family: Name
    title: str
    kind: Kind
    model_type: str = Field(description="transformers' word for the architecture.")
    source: str = Field(description="Who published the numbers of weights.")
    as_of: Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}$")]
    licence: str = Field(description="SPDX name, or the licence's own.")
    gated: bool = Field(False, description="Whether the hub asks for consent to terms first.")
    config_names: dict[str, str] = Field(
        {}, description="What its config.json calls the fields of a shape, where it is not usual."
    )
    config: dict[str, Any] = Field({}, description="Of its config.json, what no shape says.")
    linear: dict[str, Layer] = Field(description="The linear layers of one block.")
    beside: dict[str, Layer] = Field({}, description="Linear layers outside blocks and head.")
    head: dict[str, Layer] = Field(description="The linear layers that a classifier adds.")
    has_head_bias: bool = True
    shares_layers: bool = Field(False, description="Whether all blocks have the same weights.")
    attention: Literal["sdpa", "eager"] = Field(
        description="eager: transformers computes it step by step, and keeps every score."
    )
    has_checkpointing: bool = Field(
        True, description="Whether transformers can compute its activations twice."
    )
    window: Positive | None = Field(
        None, description="Tokens that a token's attention looks at, where they are not all."
    )
    activations: dict[World, Activations] = Field(
        {}, description="What autograd keeps, as benchmarks/activations.py found it."
    )
    targets: tuple[str, ...] = Field(description="Usual target modules of LoRA.")
    unsafe: dict[Literal["fp16", "bf16"], str] = Field(
        {}, description="Precisions that go wrong, and how."
    )
    refused: dict[str, str] = Field({}, description="Methods that cannot train it, and why.")
    meant: dict[Name, Meant] = Field({}, description="Names that people use of what is not there.")
    models: dict[Name, Listed]


USUAL_NAMES: Mapping[str, str] = {
    "layers": "num_hidden_layers",
    "hidden": "hidden_size",
    "heads": "num_attention_heads",
    "intermediate": "intermediate_size",
    "vocabulary": "vocab_size",
    "positions": "max_position_embeddings",
}
"""transformers' for the fields of a shape."""


@dataclass(frozen=True, slots=True)
class CatalogueModel:
    """One model with what it has of its family."""

    name: str
    entry: Listed
    family: Family

    @property
    def shape(self) -> Shape:
        return self.entry.shape

    @property
    def licence(self) -> str:
        return self.entry.licence or self.family.licence

    @property
    def is_gated(self) -> bool:
        return self.family.gated if self.entry.gated is None else self.entry.gated

    @property
    def kv_heads(self) -> int:
        return self.shape.kv_heads or self.shape.heads

    @property
    def head_dim(self) -> int:
        return self.shape.head_dim or self.shape.hidden // self.shape.heads

    def width(self, name: str) -> int:
        """Of what a layer reads or writes; `classes` are none here."""
        shape = self.shape
        return {
            "hidden": shape.hidden,
            "heads": shape.heads * self.head_dim,
            "kv": self.kv_heads * self.head_dim,
            "intermediate": shape.intermediate,
            "embedding": shape.embedding or shape.hidden,
            "classes": 0,
        }[name]

    def block(self) -> Iterator[tuple[str, int, int]]:
        """The linear layers of one block: name, width of input and of output."""
        return self._layers(self.family.linear)

    @property
    def block_parameters(self) -> int:
        """Weights of the linear layers of one block, biases left out."""
        return sum(i * o for _, i, o in self.block())

    @property
    def stored_blocks(self) -> int:
        """How many blocks have weights of their own."""
        return 1 if self.family.shares_layers else self.shape.layers

    @property
    def linear_parameters(self) -> int:
        """Weights in linear layers below the head: what a quantised model holds small."""
        beside = sum(i * o for _, i, o in self._layers(self.family.beside))
        return self.stored_blocks * self.block_parameters + beside

    def head_parameters(self, classes: int) -> int:
        found = 0
        for layer in self.family.head.values():
            inner, outer = _widths(layer)
            width = sum(classes if name == "classes" else self.width(name) for name in outer)
            found += width * (self.width(inner) + self.family.has_head_bias)
        return found

    def anatomy(self, classes: int) -> Anatomy:
        """Of the classifier of so many classes."""
        new = self.head_parameters(classes)
        blocks = tuple(self.block()) * self.stored_blocks
        return Anatomy(
            parameters=self.entry.parameters + new,
            linear=(*blocks, *self._layers(self.family.beside)),
            new=new,
            embedding=self.width("embedding"),
            hidden=self.shape.hidden,
            blocks=self.stored_blocks * (2 if self.family.kind == "encoder-decoder" else 1),
        )

    def config(self) -> dict[str, Any]:
        """What transformers' configuration of it is made with."""
        found: dict[str, Any] = {}
        for fields in (self.family.config, self.entry.config):
            found |= fields
        names = {**USUAL_NAMES, **self.family.config_names}
        own = {"kv_heads": self.kv_heads, "head_dim": self.head_dim}
        shape = self.shape.model_dump() | own | {"embedding": self.width("embedding")}
        for field, name in names.items():
            if shape[field] is not None and name:
                *groups, last = name.split(".")
                inner = found
                for group in groups:
                    inner[group] = inner = dict(inner.get(group, {}))
                inner[last] = shape[field]
        return found

    def _layers(self, layers: Mapping[str, str]) -> Iterator[tuple[str, int, int]]:
        for name, layer in layers.items():
            inner, outer = _widths(layer)
            yield name, self.width(inner), sum(map(self.width, outer))


def _widths(layer: str) -> tuple[str, list[str]]:
    """`hidden -> kv + kv`: from and to."""
    inner, _, outer = layer.partition(" -> ")
    return inner, outer.split(" + ")


# ---- names --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Every model that is known, by name."""

    models: Mapping[str, CatalogueModel]

    @classmethod
    def of(cls, families: Mapping[str, Family]) -> Self:
        """By the family's file."""
        return cls(
            {
                name: CatalogueModel(name, entry, family)
                for family in families.values()
                for name, entry in family.models.items()
            }
        )

    def find(self, asked: str) -> tuple[CatalogueModel | None, str]:
        """The model that is meant by a name as people write it, or by a hub id; and what is to be
        said about it where another name was meant."""
        word = plain(asked)
        for model in self.models.values():
            if word in (model.name, plain(model.entry.id), plain(_last(model.entry.id))):
                return model, ""
        for model in self.models.values():
            for name, meant in model.family.meant.items():
                if name in (word, plain(_last(asked))) and meant.model in self.models:
                    found = self.models[meant.model]
                    return found, f"{asked}: {meant.why}; {found.name} is meant"
        return None, ""

    def by_id(self, hub_id: str) -> CatalogueModel | None:
        """The model with this hub id."""
        word = hub_id.casefold()
        return next((m for m in self.models.values() if m.entry.id.casefold() == word), None)

    def refusal(self, method: str, model_type: str) -> str | None:
        """Why a method, by its kind, cannot train models of transformers' `model_type`; None: it
        can, as far as is known."""
        for model in self.models.values():
            if model.family.model_type == model_type and method in model.family.refused:
                return model.family.refused[method]
        return None

    def nearest_in_size(self, parameters: int) -> CatalogueModel | None:
        """Of all whose activations are known, by ratio."""
        known = [model for model in self.models.values() if model.family.activations]
        size = max(1, parameters)
        return min(known, key=lambda one: abs(log(one.entry.parameters / size)), default=None)

    def nearest(self, model: CatalogueModel, kinds: frozenset[str]) -> CatalogueModel | None:
        """Of those that transformers makes classifiers of (`kinds`), the one of its kind and
        nearest to it in size, by ratio."""
        size = model.entry.parameters
        near = [
            other
            for other in self.models.values()
            if other.family.kind == model.family.kind and other.family.model_type in kinds
        ]
        return min(near, key=lambda other: abs(log(other.entry.parameters / size)), default=None)


def plain(name: str) -> str:
    """`Mixtral 8×7B` as names are written here: `mixtral-8x7b`."""
    return re.sub(r"[\s_-]+", "-", name.strip().casefold().replace("×", "x"))


def _last(hub_id: str) -> str:
    return hub_id.rpartition("/")[2]
