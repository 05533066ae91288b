"""Out-of-fold answers: no row is ever asked of a model that has seen its label."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.train
np = pytest.importorskip("numpy")
pytest.importorskip("sklearn")


def texts(classes, rng):
    """Rows that say their class in one word of three, and something of their own."""
    words = [("ball", "goal", "team"), ("bank", "loan", "rate"), ("chip", "code", "disk")]
    return [f"{rng.choice(words[c])} {rng.choice(words[c])} row{i}" for i, c in enumerate(classes)]


def test_a_wrong_label_is_doubted_by_models_that_never_saw_it():
    from agnews_cli.learn.models.teacher import out_of_fold

    rng = np.random.default_rng(1)
    classes = np.arange(120) % 3
    rows = texts(classes, rng)
    wrong = rng.choice(120, 6, replace=False)
    labels = classes.copy()
    labels[wrong] = (classes[wrong] + 1) % 3
    found = out_of_fold(rows, labels, count=3, seed=0)
    assert found.shape == (120, 3) and np.allclose(found.sum(1), 1, atol=1e-5)
    assert (found.argmax(1) == classes).mean() > 0.97
    assert (found[wrong].argmax(1) == classes[wrong]).all(), "a seen label would be believed"
    assert (found == out_of_fold(rows, labels, count=3, seed=0)).all()


def test_a_class_too_small_to_be_divided_keeps_its_labels():
    from agnews_cli.learn.models.teacher import out_of_fold

    classes = np.array([0] * 20 + [1] * 20 + [2] * 2)
    found = out_of_fold(texts(classes, np.random.default_rng(2)), classes, count=3, seed=0)
    assert (found[-2:] == [0, 0, 1]).all()
    assert found[:40, :2].mean() > 0.45  # the two that there are share nine tenths and more


def test_a_stop_is_heard_between_two_folds():
    from agnews_cli.learn.door.events import StopRequested
    from agnews_cli.learn.models.teacher import out_of_fold

    def check():
        raise StopRequested

    with pytest.raises(StopRequested):
        out_of_fold(["a", "b"] * 10, np.arange(20) % 2, count=2, seed=0, check=check)
