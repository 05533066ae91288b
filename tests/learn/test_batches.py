"""The order of examples: what exact resume and two processes rest on."""

from __future__ import annotations

import pytest

np = pytest.importorskip("numpy")
pytest.importorskip("torch")

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from agnews_cli.learn.rows.batches import batches_from, by_length, epoch_batches  # noqa: E402

LENGTHS = st.lists(st.integers(1, 128), min_size=1, max_size=400)


@settings(max_examples=50, deadline=None)
@given(
    lengths=LENGTHS, seed=st.integers(0, 99), epoch=st.integers(0, 9), tokens=st.integers(8, 999)
)
def test_each_row_is_in_one_batch_and_no_batch_is_too_big(lengths, seed, epoch, tokens):
    lengths = np.asarray(lengths)
    batches = epoch_batches(lengths, seed=seed, epoch=epoch, batch_tokens=tokens)
    assert sorted(np.concatenate(batches)) == list(range(len(lengths)))
    for rows in batches:
        assert len(rows) == 1 or len(rows) * lengths[rows].max() <= tokens


def test_order_is_a_function_of_seed_and_epoch_alone():
    lengths = np.random.default_rng(1).integers(5, 120, 500)

    def order(seed: int, epoch: int) -> list[int]:
        np.random.seed(seed * 7 + epoch)
        batches = epoch_batches(lengths, seed=seed, epoch=epoch, batch_tokens=512)
        return list(np.concatenate(batches))

    assert order(3, 1) == order(3, 1)
    assert order(3, 1) != order(3, 2)
    assert order(3, 1) != order(4, 1)


def test_seeking_gives_what_walking_gives():
    lengths = np.random.default_rng(2).integers(5, 120, 300)
    walk = batches_from(lengths, seed=0, epoch=0, position=0, batch_tokens=512)
    walked = [next(walk) for _ in range(90)]
    epoch, position, _ = walked[70]
    seek = batches_from(lengths, seed=0, epoch=epoch, position=position, batch_tokens=512)
    for expected, found in zip(walked[70:], seek, strict=False):
        assert expected[:2] == found[:2]
        assert (expected[2] == found[2]).all()


def test_padding_wastes_little():
    lengths = np.random.default_rng(3).gamma(8, 7, 5000).astype(int) + 5
    batches = epoch_batches(lengths, seed=0, epoch=0, batch_tokens=1024)
    padded = sum(len(rows) * lengths[rows].max() for rows in batches)
    assert padded < 1.05 * lengths.sum()


def test_prediction_begins_with_the_longest():
    lengths = np.asarray([3, 90, 7, 50])
    batches = by_length(lengths, batch_tokens=100)
    assert 1 in batches[0]
    assert sorted(np.concatenate(batches)) == [0, 1, 2, 3]
