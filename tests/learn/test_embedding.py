"""The head on frozen embeddings: what it answers, and how sure it is."""

from __future__ import annotations

import numpy as np
import pytest

from agnews_cli.learn.figures import blend
from agnews_cli.learn.models.embedding import EmbeddingHead


def embeddings(rows: int, classes: int, seed: int):
    """((rows, 64) of unit length, (rows,)): clouds of one shape, one row in eight labelled wrong"""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(0).normal(size=(classes, 64))
    own = rng.integers(classes, size=rows)
    points = centres[own] + 1.5 * rng.standard_t(3, size=(rows, 64))
    said = np.where(rng.random(rows) < 1 / 8, rng.integers(classes, size=rows), own)
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    return points.astype(np.float32), said.astype(np.int64)


@pytest.mark.parametrize("classes", [2, 4])
def test_a_calibrated_head_answers_the_same_and_is_less_sure_of_itself(classes, tmp_path):
    head = EmbeddingHead.fit(*embeddings(600, classes, seed=1))
    calibrated, temperature = head.calibrated(*embeddings(400, classes, seed=2))
    new, true = embeddings(2000, classes, seed=3)
    before, after = head.predict(new), calibrated.predict(new)
    assert after.sum(axis=1) == pytest.approx(1, abs=1e-6)
    assert (before.argmax(1) == after.argmax(1)).all()
    assert (after.argmax(1) == true).mean() > 0.75
    assert temperature > 1.2
    assert blend.log_loss(after, true) < blend.log_loss(before, true) - 0.02
    calibrated.save(tmp_path, encoder="owner/name", max_length=16)
    assert (EmbeddingHead.load(tmp_path).predict(new) == after).all()


def test_a_head_is_fitted_where_dimensions_outnumber_rows():
    rows, classes = embeddings(12, 3, seed=1)
    rows[:, 5] = 0.0  # a dimension that never moves
    classes[:3] = [0, 1, 2]
    answers = EmbeddingHead.fit(rows, classes).predict(rows)
    assert np.isfinite(answers).all()
    assert (answers.argmax(1) == classes).mean() > 0.8
