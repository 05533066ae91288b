"""The measures that reports rest on, beside SciPy's and scikit-learn's on the same arrays; and how
often two equal models are said to differ."""

from __future__ import annotations

from typing import Any

import pytest

np = pytest.importorskip("numpy")
pytest.importorskip("sklearn")

from scipy import stats  # noqa: E402
from sklearn.metrics import cohen_kappa_score, matthews_corrcoef  # noqa: E402

from agnews_cli.learn.combine.diversity import diversity  # noqa: E402
from agnews_cli.learn.figures import paired  # noqa: E402
from agnews_cli.learn.figures.accuracy import accuracy  # noqa: E402


def answers(seed: int, rows: int = 400) -> tuple[Any, Any]:
    """What three models say of rows, (models, rows, 4); classes."""
    rng = np.random.default_rng(seed)
    classes = rng.integers(0, 4, rows)
    said = rng.dirichlet(np.ones(4), (3, rows))
    for model, share in enumerate((0.6, 0.7, 0.8)):
        right = rng.random(rows) < share
        said[model, right, classes[right]] += 1
    return said / said.sum(-1, keepdims=True), classes


@pytest.mark.parametrize("seed", range(5))
def test_mcnemars_exact_test_is_scipys_binomial_one(seed: int) -> None:
    said, classes = answers(seed)
    one, two = (said[n].argmax(1) == classes for n in (0, 1))
    wins, losses = int((one & ~two).sum()), int((~one & two).sum())
    expected = stats.binomtest(wins, wins + losses, 0.5).pvalue
    assert paired.mcnemar(one.astype(int) - two) == pytest.approx(expected)


@pytest.mark.parametrize("seed", range(3))
def test_the_paired_bootstrap_is_scipys(seed: int) -> None:
    said, classes = answers(seed)
    one, two = (said[n].argmax(1) == classes for n in (0, 1))
    apart = one.astype(float) - two
    rng = np.random.default_rng(seed)
    peer = stats.bootstrap(
        (apart,), np.mean, n_resamples=20_000, method="percentile", batch=2_000, rng=rng
    ).confidence_interval
    assert paired.bootstrap(apart, seed=seed) == pytest.approx((peer.low, peer.high), abs=0.004)


@pytest.mark.parametrize(("right", "rows"), [(0, 9), (7, 9), (9, 9), (437, 500)])
def test_an_accuracys_interval_holds_what_the_score_test_does_not_refuse(
    right: int, rows: int
) -> None:
    found, z = accuracy(right, rows), stats.norm.ppf(0.975)
    for bound in (found.low, found.high):
        if 0 < bound < 1:
            assert abs(right / rows - bound) == pytest.approx(
                z * np.sqrt(bound * (1 - bound) / rows)
            )


@pytest.mark.parametrize("seed", range(5))
def test_measures_of_diversity_are_those_of_scipy_and_scikit_learn(seed: int) -> None:
    said, classes = answers(seed)
    found, said_class = diversity(["a", "b", "c"], said, classes), said.argmax(2)
    right = said_class == classes
    for i, j in ((0, 1), (0, 2), (1, 2)):
        table = [
            [int((right[i] & right[j]).sum()), int((right[i] & ~right[j]).sum())],
            [int((~right[i] & right[j]).sum()), int((~right[i] & ~right[j]).sum())],
        ]
        odds = stats.contingency.odds_ratio(table, kind="sample").statistic
        assert found.q[i][j] == pytest.approx((odds - 1) / (odds + 1))
        assert found.correlation[i][j] == pytest.approx(matthews_corrcoef(right[i], right[j]))
        assert found.kappa[i][j] == pytest.approx(cohen_kappa_score(said_class[i], said_class[j]))


SIMULATIONS = 10_000


@pytest.fixture(scope="module")
def equals() -> Any:
    """Of two equal models on 1,000 rows of all difficulties, one minus the other:
    (simulations, rows) int8."""
    rng = np.random.default_rng(0)
    rows = []
    for _ in range(SIMULATIONS // 1000):
        easy = rng.uniform(0.5, 1.0, (1000, 1000)).astype(np.float32)
        one, two = (rng.random(easy.shape, dtype=np.float32) < easy for _ in range(2))
        rows.append(one.astype(np.int8) - two)
    return np.concatenate(rows)


def test_two_equal_models_differ_at_five_percent_in_five_percent(equals: Any) -> None:
    p_values = np.asarray([paired.mcnemar(apart) for apart in equals])
    assert (p_values < 0.05).mean() == pytest.approx(0.05, abs=0.01)
    some = equals[:2_500]  # takes longer
    found = [paired.bootstrap(apart, seed=n, draws=600) for n, apart in enumerate(some)]
    low, high = np.asarray(found).T
    assert ((low > 0) | (high < 0)).mean() == pytest.approx(0.05, abs=0.01)


def test_of_many_pairs_of_equal_models_one_is_found_in_five_percent_after_holm(equals: Any) -> None:
    p_values = np.asarray([paired.mcnemar(apart) for apart in equals]).reshape(-1, 10)
    smallest = np.asarray([paired.holm(row).min() for row in p_values])
    assert 0.03 <= (smallest < 0.05).mean() <= 0.06
    assert (p_values.min(1) < 0.05).mean() > 0.3  # as it would be without
