"""What planning asks of a method: how much it trains, in how many bytes, at what work."""

from __future__ import annotations

import pytest

from agnews_cli.core.run.method import Anatomy, Full, Lora, weights_bytes

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
