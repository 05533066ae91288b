"""What is measured of data for advice, on data of which the answer is known."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.train
np = pytest.importorskip("numpy")
pytest.importorskip("sklearn")

from agnews_cli.core.run.dataset import Rows  # noqa: E402
from agnews_cli.learn.checks.data_trial import DataTrial  # noqa: E402
from agnews_cli.learn.checks.dimension import dimension, two_nn  # noqa: E402


@pytest.mark.parametrize("true", [1, 2, 5])
def test_two_nn_finds_the_dimension_of_a_curved_sheet_in_fifty(true: int) -> None:
    rng = np.random.default_rng(true)
    sheet = rng.uniform(size=(1_200, true))
    bent = np.concatenate([sheet, np.sin(2 * sheet)], axis=1)
    points = bent @ rng.normal(size=(2 * true, 50))
    assert two_nn(points) == pytest.approx(true, rel=0.15)
    assert two_nn(np.concatenate([points, points[:300]])) == pytest.approx(true, rel=0.3)


def test_too_few_points_have_no_dimension() -> None:
    assert two_nn(np.eye(20)) is None
    assert two_nn(np.zeros((200, 4))) is None


def rows(number: int, *, wrong: float, seed: int = 0) -> Rows:
    """Three classes of words that overlap; a share of the labels is another."""
    rng = np.random.default_rng(seed)
    classes = rng.integers(0, 3, number)
    texts = []
    for each in classes:
        own = rng.integers(0, 120, 4) + 120 * each
        common = rng.integers(0, 400, 8)
        texts.append(" ".join([*(f"own{w}" for w in own), *(f"word{w}" for w in common)]))
    is_wrong = rng.random(number) < wrong
    said = np.where(is_wrong, (classes + rng.integers(1, 3, number)) % 3, classes)
    return Rows(texts, said.tolist())


def test_wrong_labels_are_doubted_and_stay_in_the_curve() -> None:
    clean, noisy = (DataTrial(rows(1_500, wrong=w), count=3, seed=0) for w in (0.0, 0.3))
    true, false = clean.doubts(), noisy.doubts()
    assert true is not None
    assert false is not None
    assert true.suspects < 0.02 * true.asked < 0.1 * false.asked < false.suspects
    curve = clean.curve()
    assert curve is not None
    errors = [point.error for point in curve.points]
    assert errors[0] > errors[-1]
    assert [point.draws for point in curve.points] == [3] * (len(errors) - 2) + [1, 1]
    there = noisy.curve()
    assert there is not None
    assert there.points[-1].error > 0.25 > errors[-1]


def test_too_few_rows_and_one_class_have_neither() -> None:
    for few in (Rows(["a b", "c d"], [0, 1]), Rows([f"word{n}" for n in range(80)], [0] * 80)):
        trial = DataTrial(few, count=2, seed=0)
        assert trial.curve() is None
        assert trial.doubts() is None
        assert (
            dimension(Rows(["same"] * 80, [0] * 80), encoder=None, encoder_name="", seed=0) is None
        )


def test_words_have_a_dimension_where_no_encoder_is() -> None:
    found = dimension(rows(300, wrong=0.0), encoder=None, encoder_name="", seed=0)
    assert found is not None
    assert found.value > 1
    assert found.of == "TF-IDF of words"
