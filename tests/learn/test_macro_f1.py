"""Macro-F1 and its interval: hand-made cases, scikit-learn, and simulated classifiers."""

from __future__ import annotations

import tracemalloc

import pytest

np = pytest.importorskip("numpy")
pytest.importorskip("sklearn")

from sklearn.metrics import f1_score  # noqa: E402

from agnews_cli.learn.figures.evaluate import evaluate  # noqa: E402
from agnews_cli.learn.figures.macro_f1 import interval, macro_f1  # noqa: E402
from benchmarks import macro_f1 as simulated  # noqa: E402


@pytest.mark.parametrize(("classes", "rows"), [(2, 3), (5, 4), (60, 2), (130, 1), (9, 100)])
def test_all_right_is_one_and_the_interval_says_that_it_need_not_stay_so(classes, rows):
    low, high = interval(np.eye(classes, dtype=int) * rows)
    assert high == 1
    assert 0.3 < low < 1
    fewer_low, _ = interval(np.eye(classes, dtype=int))
    assert fewer_low <= low


def test_the_interval_holds_the_figure_whatever_the_matrix():
    rng = np.random.default_rng(0)
    for _ in range(60):
        matrix = rng.integers(0, 4, (count := int(rng.integers(2, 30)), count))
        matrix *= rng.random((count, count)) < rng.random()
        matrix[0, 1] += 1
        low, high = interval(matrix)
        assert 0 <= low <= macro_f1(matrix) <= high <= 1
        assert (low, high) == interval(matrix)


def test_it_is_scikit_learns_figure_where_every_class_has_rows():
    rng = np.random.default_rng(1)
    classes = np.concatenate([np.arange(7), rng.integers(0, 7, 90)])
    scores = rng.random((97, 7)) + np.eye(7)[classes] * 0.5
    found = evaluate(scores / scores.sum(1, keepdims=True), classes, list("abcdefg"))
    expected = f1_score(classes, scores.argmax(1), average="macro")
    assert found.macro_f1.value == pytest.approx(expected)


def test_a_class_without_rows_is_no_failure_and_answering_it_is():
    perfect = np.diag([30, 30, 30, 0])
    assert macro_f1(perfect) == 1
    given_away = perfect.copy()
    given_away[0, 0], given_away[0, 3] = 20, 10
    # Class 0: 20 of 30 found, all of them rightly: F1 = 2 * 20 / (30 + 20).
    assert macro_f1(given_away) == pytest.approx((0.8 + 1 + 1) / 3)
    low, high = interval(given_away)
    assert low < macro_f1(given_away) < high < 1


def test_as_many_classes_as_there_are_take_little_memory_and_time():
    rng = np.random.default_rng(0)
    classes = rng.integers(0, 1200, 7600)
    matrix = np.zeros((1200, 1200), dtype=int)
    np.add.at(matrix, (classes, np.where(rng.random(7600) < 0.9, classes, 0)), 1)
    tracemalloc.start()
    low, high = interval(matrix)
    assert tracemalloc.get_traced_memory()[1] < 200e6
    tracemalloc.stop()
    assert high - low < 0.03


@pytest.mark.parametrize(
    ("classes", "rows", "accuracy", "shape"),
    [(4, 5, 0.85, "even"), (77, 2, 0.9, "even"), (20, 5, 0.95, "skewed"), (150, 1, 0.8, "even")],
)
def test_about_95_of_100_intervals_hold_the_true_value(classes, rows, accuracy, shape):
    sizes = simulated.sizes_of(classes, rows, shape)
    held, width = simulated.coverage(sizes, accuracy, 0.05, "any", trials=60)
    assert held >= 0.87  # 95% of 60 less 2.8 standard deviations
    accuracys_own = 2 * 1.96 * np.sqrt(accuracy * (1 - accuracy) / sizes.sum())
    assert width < 2.2 * accuracys_own
