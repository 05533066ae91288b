"""Of what a classifier is made, as far as it tells how much of it a method trains, and where.

Layers are known by the ends of their names in transformers, which are the same in all models of a
family: whoever plans and whoever trains ask the same functions.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

Layer = tuple[str, int, int]
"""Its name, and how wide are its input and output."""


@dataclass(frozen=True, slots=True)
class Anatomy:
    """Of a classifier. What is not known is 0 or empty, and then weighs nothing."""

    parameters: int
    """That a text reaches, with the head."""
    linear: tuple[Layer, ...] = ()
    """Each linear layer below the head."""
    new: int = 0
    """Parameters that the pretrained weights do not have, the head above all."""
    biases: int = 0
    """Parameters below the head that are added to states: of linear layers and of norms."""
    embedding: int = 0
    """How wide the word embeddings are."""
    hidden: int = 0
    """How wide the states between two layers are."""
    blocks: int = 0
    """Layers of attention and feed-forward; one that is passed several times (ALBERT) counts once.
    """


def ends(name: str, with_: Iterable[str]) -> bool:
    """Whether a layer's path ends with one of these, which begin where a part of it does."""
    return any(f".{name}".endswith(f".{one}") for one in with_)


_KEYS_VALUES = (
    *("key", "value", "key_global", "value_global", "key_proj", "value_proj"),
    *("k_proj", "v_proj", "k_lin", "v_lin", "attn.k", "attn.v"),
    *("SelfAttention.k", "SelfAttention.v", "EncDecAttention.k", "EncDecAttention.v"),
    *("query_key_value", "Wqkv", "qkv_proj"),  # one layer for queries too
)
_ATTENTION_OUT = (
    *("attention.output.dense", "attention.dense", "attention.attn.o", "attention.out_lin"),
    *("self_attn.o_proj", "self_attn.dense", "self_attention.dense", "attn.Wo", "attn.out_proj"),
    "SelfAttention.o",
)
_FORWARD_OUT = (
    *("output.dense", "ffn_output", "ffn.lin2", "ff.layer_2", "mlp.down_proj", "mlp.fc2"),
    *("mlp.dense_4h_to_h", "mlp.Wo", "ffn.down_proj", "DenseReluDense.wo"),
)
_NORM_AFTER = {
    "output.dense": "output.LayerNorm",
    "ffn_output": "full_layer_layer_norm",
    "ffn.lin2": "output_layer_norm",
    "ff.layer_2": "ff.layer_norm",
}
"""Where the norm comes after the sum: what follows a feed-forward's last layer."""


def is_key_or_value(name: str) -> bool:
    return ends(name, _KEYS_VALUES)


def is_attention_out(name: str) -> bool:
    """The last layer of an attention, whose output is added to its input."""
    return ends(name, _ATTENTION_OUT)


def is_forward_out(name: str) -> bool:
    """The last layer of a feed-forward part."""
    return ends(name, _FORWARD_OUT) and not is_attention_out(name)


def norm_after(name: str) -> str | None:
    """The norm that reads the sum of a feed-forward's output and input; None: the model's norms
    come before its parts, and the sum is what the block returns."""
    for end, norm in _NORM_AFTER.items():
        if ends(name, (end,)):
            return name.removesuffix(end) + norm
    return None


def block_of(name: str) -> str | None:
    """The path of the block that a layer is in: up to the first number."""
    found = re.match(r"(.*?\.\d+)\.", name)
    return found[1] if found else None


def blocks(linear: Sequence[str]) -> list[str]:
    """Every block, in order, once."""
    inside = (block_of(name) for name in linear if is_forward_out(name) or is_attention_out(name))
    return list(dict.fromkeys(block for block in inside if block is not None))
