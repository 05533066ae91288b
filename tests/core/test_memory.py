"""Memory as it is predicted: its parts, what grows with what, and what fits."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from agnews_cli.core.machine.accelerator import Accelerator
from agnews_cli.core.run.catalogue import Catalogue
from agnews_cli.core.run.memory import Setup, most_texts, predict
from agnews_cli.core.run.method import Full, Lora, Pfeiffer, Qlora
from agnews_cli.core.run.needs import Needs, setup_of
from agnews_cli.core.run.preset import Model, Training
from agnews_cli.store.settings import catalogue

SHIPPED = catalogue.load()
MINI = SHIPPED.models["minilm-l6"]
LLAMA = SHIPPED.models["llama-3-8b"]
SETUP = Setup(method=Full(), texts=16, length=64, place="cpu")
GPU = replace(SETUP, place="gpu", precision="fp16")


def test_weights_and_states_are_counted_by_the_byte():
    said, count = predict(MINI, SETUP), MINI.anatomy(4).parameters
    assert (said.weights, said.optimizer, said.gradients) == (4 * count, 8 * count, 0)
    light = predict(MINI, replace(SETUP, optimizer="adamw_8bit"))
    assert light.optimizer == round(2.1 * count)


def test_what_a_block_keeps_is_what_autograd_keeps_of_bert():
    """By hand (core/run/activations): four states and three masks of 32 bits and twelve bytes a
    score, two widths of the feed-forward, and two norms' means and deviations."""
    tokens, hidden, inner, heads = 16 * 64, 384, 1536, 12
    block = tokens * (40 * hidden + 8 * inner + 12 * heads * 64 + 16)
    said = predict(MINI, SETUP)
    assert said.activations == pytest.approx(6 * block, rel=0.08)
    assert said.activations > 6 * block  # embeddings come on top


def test_the_highest_point_is_where_gradients_are_when_there_is_little_to_keep():
    small = predict(MINI, replace(SETUP, texts=1, length=8))
    assert small.gradients == 4 * MINI.anatomy(4).parameters
    assert predict(MINI, replace(SETUP, passes=2)).gradients == small.gradients


@pytest.mark.parametrize("name", sorted(SHIPPED.models))
@pytest.mark.parametrize("place", ["cpu", "gpu"])
def test_more_texts_longer_ones_and_wider_numbers_take_more(name: str, place):
    model = SHIPPED.models[name]
    setup = replace(SETUP, place=place, precision="fp16")
    peak = predict(model, setup).peak_bytes
    assert predict(model, replace(setup, texts=32)).peak_bytes > peak
    assert predict(model, replace(setup, length=1024)).peak_bytes > peak
    assert predict(model, replace(setup, devices=2)).peak_bytes >= peak
    spared = predict(model, replace(setup, texts=64, checkpointing=True)).peak_bytes
    whole = predict(model, replace(setup, texts=64)).peak_bytes
    assert spared <= whole if model.family.has_checkpointing else spared == whole
    for method in (Lora(), Pfeiffer()):
        assert predict(model, replace(setup, texts=1, method=method)).peak_bytes < (
            predict(model, replace(setup, texts=1)).peak_bytes
        )


def test_quantised_layers_take_about_half_a_byte_a_weight():
    said = predict(LLAMA, replace(GPU, method=Qlora()))
    embeddings = LLAMA.entry.parameters - LLAMA.linear_parameters
    assert said.weights < 0.55 * LLAMA.linear_parameters + 4.2 * embeddings
    assert said.weights < 0.3 * predict(LLAMA, replace(GPU, method=Lora())).weights


def test_the_largest_batch_fits_and_one_more_does_not():
    setup = replace(GPU, method=Qlora(), length=128)
    most = most_texts(LLAMA, setup, 14e9)
    assert most > 0
    assert predict(LLAMA, replace(setup, texts=most)).peak_bytes <= 14e9
    assert predict(LLAMA, replace(setup, texts=most + 1)).peak_bytes > 14e9
    assert most_texts(LLAMA, replace(setup, method=Full()), 14e9) == 0


def test_it_takes_milliseconds():
    began = time.process_time()
    for model in SHIPPED.models.values():
        predict(model, SETUP)
    assert (time.process_time() - began) / len(SHIPPED.models) < 0.02


def test_a_recipe_is_cut_as_the_loop_cuts_it():
    training = Training(lr=1e-4, batch_tokens=2048, max_length=128)
    assert setup_of(Full(), training, "gpu", "fp16", 1).texts == 16
    doubled = training.model_copy(update={"r_drop": 1.0})
    assert setup_of(Full(), doubled, "gpu", "fp16", 1).texts == 32
    cut = doubled.model_copy(update={"micro_batch_tokens": 1024})
    found = setup_of(Full(), cut, "gpu", "fp16", 2)
    assert (found.texts, found.passes) == (8, 2)


def test_a_model_that_nobody_listed_is_taken_for_the_nearest_in_size():
    own = Model(id="me/mine", parameters=110_000_000, licence="mit")
    training = Training(lr=1e-4)
    peak = Needs(SHIPPED).peak_bytes(own, Full(), training)
    assert 12 * own.parameters < peak < 16 * own.parameters + 4e9
    assert Needs(Catalogue({})).peak_bytes(own, Full(), training) == 16 * own.parameters + 3e9


def test_what_does_not_fit_is_told_with_its_numbers():
    small = Accelerator("cuda", "Tesla T4", 1, 4 * 10**9)
    model = Model(id="microsoft/deberta-v3-large", parameters=434_000_000, licence="mit")
    training = Training(lr=1e-4)
    misfit = Needs(SHIPPED).of(model, Full(), training, small).misfit
    assert misfit is not None and misfit.endswith("GB of memory, and 3.8 GB are usable")
    assert Needs(SHIPPED).of(model, Full(), training, Accelerator("cuda", "?")).misfit is None
