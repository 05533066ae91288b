"""Passes of few shapes, as XLA wants them; that training by it is right, test_xla shows."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytestmark = pytest.mark.train
np = pytest.importorskip("numpy")
torch = pytest.importorskip("torch")

from agnews_cli.core.run.preset import Training  # noqa: E402
from agnews_cli.learn import losses  # noqa: E402
from agnews_cli.learn.kinds.loss import Targets  # noqa: E402
from agnews_cli.learn.kinds.registry import modules  # noqa: E402
from agnews_cli.learn.loop import step  # noqa: E402
from agnews_cli.learn.rows.shapes import LENGTHS, Shapes  # noqa: E402
from agnews_cli.learn.rows.tokens import Tokens  # noqa: E402
from tests.learn.test_resume import Run, Variant  # noqa: E402

PAD = 9
WAYS = {
    "plain": {},
    "distilled, rows without labels": {"unlabelled": 40},
    "windows, class weights": {
        "has_windows": True, "training": {"lr": 1e-3, "class_weights": "balanced"},
    },
    "small passes": {"training": {"lr": 1e-3, "micro_batch_tokens": 48}},
}  # fmt: skip
"""Of training, each as with batches of any shape (here on a CPU; by XLA in `test_xla`)."""


@given(st.lists(st.integers(1, 700), min_size=1, max_size=80), st.integers(1, 4_096))
def test_every_row_is_in_one_pass_and_passes_of_a_length_are_alike(lengths, tokens):
    lengths = np.asarray(lengths)
    shapes, rows = Shapes(tokens, int(lengths.max())), np.argsort(lengths, kind="stable")
    passes = shapes.cut(rows, lengths)
    assert np.concatenate(passes).tolist() == rows.tolist()
    for one in passes:
        length = shapes.length(int(lengths[one].max()))
        assert length >= lengths[one].max()
        assert 1 <= len(one) <= shapes.texts(length)
        assert shapes.texts(length) * length <= max(tokens, length)
    assert len({shapes.length(int(n)) for n in lengths}) <= len(LENGTHS) + 1


def test_a_pass_is_filled_up_with_texts_of_one_token():
    tokens = Tokens(np.arange(1, 8, dtype=np.int32), np.asarray([0, 3, 7]), np.asarray([0, 1]))
    batch = Shapes(80, 60).padded(tokens.batch(np.arange(2), PAD), PAD)
    assert {name: tuple(t.shape) for name, t in batch.items()} == {
        "input_ids": (5, 16), "attention_mask": (5, 16),
    }  # fmt: skip
    assert batch["input_ids"][0].tolist() == [1, 2, 3] + [PAD] * 13
    assert batch["attention_mask"].sum(1).tolist() == [3, 4, 1, 1, 1]


@pytest.mark.parametrize("weighed", [False, True])
@pytest.mark.parametrize("name", modules(losses))
def test_what_fills_up_counts_for_nothing_in_any_loss(name, weighed):
    training = Training(**{"lr": 1e-3, "loss": name} | modules(losses)[name].EXAMPLE)
    classes = np.asarray([0, 2, 1, 1])
    loss = losses.begin(training, classes, 3)
    logits = torch.randn(7, 3, generator=torch.Generator().manual_seed(0))
    weights = torch.tensor([0.5, 1.0, 2.0, 0.5]) if weighed else None
    targets = Targets(torch.from_numpy(classes), weights=weights)
    assert float(loss(logits, targets.filled(7))) == pytest.approx(
        float(loss(logits[:4], targets)), rel=1e-6
    )


@pytest.mark.parametrize("way", WAYS)
def test_training_in_few_shapes_is_the_same_training(way, tmp_path, monkeypatch):
    variant = Variant(p_dropout=0.0, **{"training": {"lr": 1e-3}} | WAYS[way])
    usual = Run(variant, tmp_path / "usual").finish()
    seen = set()
    monkeypatch.setattr(step, "is_xla", lambda device: True)
    monkeypatch.setattr(step, "sync", lambda device: None)
    filled = Run(variant, tmp_path / "filled")
    ask = filled.tuning.model.forward

    def watched(*words, **asked):
        if filled.tuning.model.training:
            seen.add(tuple(asked["input_ids"].shape))
        return ask(*words, **asked)

    filled.tuning.model.forward = watched
    filled.finish()
    assert len(seen) == 1, "no text has more than 16 tokens"
    losses = [[one.loss for one in run.trace] for run in (filled, usual)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
    assert filled.tuning.position.step == usual.tuning.position.step


def test_where_memory_does_not_suffice_passes_become_smaller_ones(tmp_path, monkeypatch):
    monkeypatch.setattr(step, "is_xla", lambda device: True)
    monkeypatch.setattr(step, "sync", lambda device: None)
    run = Run(Variant(p_dropout=0.0), tmp_path)
    ask, most = run.tuning.model.forward, 4 * 16

    def small(*words, **asked):
        if asked["input_ids"].numel() > most and run.tuning.model.training:
            raise RuntimeError("RESOURCE_EXHAUSTED: Ran out of memory in memory space hbm")
        return ask(*words, **asked)

    run.tuning.model.forward = small
    run.finish()
    assert 0 < run.tuning.position.pass_tokens <= most
    assert run.tuning.position.is_over
