"""What planning asks of a method: how much it trains, in how many bytes, at what work."""

from __future__ import annotations

import pytest

from agnews_cli.core.run import anatomy
from agnews_cli.core.run.anatomy import Anatomy
from agnews_cli.core.run.method import (
    Dora,
    Full,
    Houlsby,
    Ia3,
    Lora,
    Pfeiffer,
    Prefix,
    Prompt,
    PTuning,
    Qlora,
    Vera,
    weights_bytes,
)

LAYERS = (("layer.0.query", 8, 8), ("layer.0.dense", 8, 32), ("pooler.dense", 8, 8))
MODEL = Anatomy(parameters=1000, linear=LAYERS, new=27)


def test_full_trains_all_and_lora_two_matrices_a_layer_and_the_head():
    assert Full().trained_parameters(MODEL) == 1000
    assert Lora(rank=2).trained_parameters(MODEL) == 2 * (16 + 40 + 16) + 27


@pytest.mark.parametrize(
    ("targets", "adapted"),
    [(("query",), 16), (("dense",), 40 + 16), (("pooler.dense", "ense"), 16)],
)
def test_a_target_is_a_layers_name_or_the_end_of_its_path(targets, adapted):
    assert Lora(rank=3, targets=targets).trained_parameters(MODEL) == 3 * adapted + 27


def test_a_trained_weight_takes_four_times_a_frozen_one():
    """Where nothing is known of the layers, an update weighs nothing beside the model."""
    whole = Anatomy(parameters=1000)
    assert weights_bytes(Full(), whole) == 16_000
    assert weights_bytes(Lora(), whole) == 4_000
    assert weights_bytes(Lora(rank=2), MODEL) == 4 * (1000 - 171) + 16 * 171


BLOCK = (
    ("layer.0.attention.self.key", 8, 8),
    ("layer.0.attention.self.query", 8, 8),
    ("layer.0.attention.output.dense", 8, 8),
    ("layer.0.intermediate.dense", 8, 32),
    ("layer.0.output.dense", 32, 8),
)


@pytest.mark.parametrize(
    ("method", "trained"),
    [
        (Dora(rank=2, targets=("key",)), 2 * 16 + 8),
        (Vera(rank=4, targets=("key",)), 4 + 8),
        (Ia3(), 8 + 32),
        (Houlsby(reduction=4), 2 * (2 * 8 * 2 + 2 + 8)),
        (Pfeiffer(reduction=100), 2 * 8 + 1 + 8),
        (Prompt(tokens=3), 3 * 5),
        (PTuning(tokens=3, width=2), 3 * 5 + (5 * 2 + 2) + (2 * 2 + 2) + (2 * 5 + 5)),
        (Prefix(tokens=3), 3 * 8 * 1),
    ],
)
def test_each_method_trains_what_its_paper_says_and_the_head(method, trained):
    model = Anatomy(parameters=1000, linear=BLOCK, new=27, embedding=5, hidden=8, blocks=1)
    assert method.trained_parameters(model) == trained + 27


def test_layers_are_known_by_the_ends_of_their_names():
    names = [name for name, _, _ in BLOCK]
    assert [n for n in names if anatomy.is_attention_out(n)] == ["layer.0.attention.output.dense"]
    assert [n for n in names if anatomy.is_forward_out(n)] == ["layer.0.output.dense"]
    assert anatomy.norm_after("layer.0.output.dense") == "layer.0.output.LayerNorm"
    assert anatomy.norm_after("layers.0.mlp.down_proj") is None
    twice = ["encoder.block.0.layer.1.DenseReluDense.wo", "encoder.block.0.layer.0.SelfAttention.o"]
    assert anatomy.blocks([*names, *twice]) == ["layer.0", "encoder.block.0"]


def test_a_quantised_weight_takes_an_eighth_of_a_whole_one():
    assert Qlora.frozen_weight_bytes < 0.55
    assert weights_bytes(Qlora(), Anatomy(parameters=1000)) == int(1000 * 0.515869140625)
