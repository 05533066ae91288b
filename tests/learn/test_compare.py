"""Measures of diversity and paired comparisons, against scikit-learn, SciPy and by hand."""

from __future__ import annotations

import json
from math import comb
from typing import Any

import pytest

np = pytest.importorskip("numpy")
pytest.importorskip("sklearn")
hypothesis = pytest.importorskip("hypothesis")

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from scipy.stats import norm  # noqa: E402
from sklearn.metrics import cohen_kappa_score, log_loss, matthews_corrcoef  # noqa: E402

from agnews_cli.core.run.diversity import MEASURES, Diversity, DiversityLimits  # noqa: E402
from agnews_cli.learn.combine.compare import compare  # noqa: E402
from agnews_cli.learn.combine.diversity import diversity  # noqa: E402
from agnews_cli.learn.figures import paired  # noqa: E402
from tests.learn.test_combiners import case  # noqa: E402

CASES = st.builds(
    case, st.integers(0, 10**6), st.integers(2, 6), st.integers(20, 60), st.integers(2, 5)
)
quick = settings(max_examples=25, deadline=None)


def measured(said: Any, true: Any) -> Diversity:
    return diversity([f"m{n}" for n in range(len(said))], said, true)


@quick
@given(CASES)
def test_each_measure_is_as_defined(one: Any) -> None:
    said, true = one
    found, answers = measured(said, true), said.argmax(2)
    right = answers == true
    for i in range(len(said)):
        for j in range(len(said)):
            both, neither = int((right[i] & right[j]).sum()), int((~right[i] & ~right[j]).sum())
            one_, other = int((right[i] & ~right[j]).sum()), int((~right[i] & right[j]).sum())
            assert found.disagreement[i][j] == pytest.approx((one_ + other) / len(true))
            whole = both * neither + one_ * other
            q = (both * neither - one_ * other) / whole if whole else None
            assert found.q[i][j] == pytest.approx(q)
            if found.correlation[i][j] is not None:
                assert found.correlation[i][j] == pytest.approx(
                    matthews_corrcoef(right[i], right[j]), abs=1e-9
                )
            if found.kappa[i][j] is not None:
                assert found.kappa[i][j] == pytest.approx(
                    cohen_kappa_score(answers[i], answers[j]), abs=1e-9
                )
    least = np.minimum(right.sum(0), (~right).sum(0))
    assert found.entropy == pytest.approx(least.mean() / (len(said) // 2))


def test_what_has_no_value_is_none_and_becomes_json() -> None:
    said, true = case(members=2)
    sure = np.eye(3)[true]
    found = diversity(["a", "b"], np.stack([sure, said[0]]), true)
    assert found.correlation[0][1] is None and found.q[0][1] is None
    told = json.loads(json.dumps(found.as_json(), allow_nan=False))
    assert told["means"]["correlation"] is None and set(told["means"]) == set(MEASURES)
    assert told["members"] == ["a", "b"] and told["rows"] == 80
    assert diversity(["a"], said[:1], true).entropy == 0.0


USUAL = DiversityLimits(members=10, q=0.7, correlation=0.85)


def test_what_is_too_alike_or_too_many_is_a_finding() -> None:
    said, true = case(members=3, rows=300)
    alike = np.stack([*said, said[0] * 0.9 + said[1] * 0.1])
    found = diversity(["a", "b", "c", "d"], alike, true)
    texts = [finding.text for finding in found.findings(USUAL)]
    assert any(t.startswith("a and d err on the same rows: Yule's Q of being right") for t in texts)
    assert any("correlation of errors" in t and "expected below 0.85" in t for t in texts)
    assert all(finding.level == "know" and finding.mend for finding in found.findings(USUAL))
    loose = DiversityLimits(members=3)
    (only,) = found.findings(loose)
    assert only.text.startswith("4 members, more than 3")
    (good,) = found.findings(DiversityLimits(members=4))
    assert good.level == "good"
    eleven = diversity([str(n) for n in range(11)], case(members=11)[0], true[:80])
    assert any("11 members, more than 10" in f.text for f in eleven.findings(USUAL))


@quick
@given(CASES)
def test_each_model_has_its_figures(one: Any) -> None:
    said, true = one
    found = compare({str(n): each for n, each in enumerate(said)}, true)
    assert len(found.differences) == comb(len(said), 2)
    accuracies = [model.accuracy.value for model in found.models]
    assert accuracies == sorted(accuracies, reverse=True)
    for model in found.models:
        each = said[int(model.name)].astype(float)
        assert model.accuracy.value == pytest.approx((each.argmax(1) == true).mean())
        expected = log_loss(true, each / each.sum(1, keepdims=True), labels=range(each.shape[1]))
        assert model.loss == pytest.approx(expected, abs=1e-4)


def test_mcnemars_test_is_the_binomial_one() -> None:
    apart = np.asarray([1] * 9 + [-1] * 2 + [0] * 50)
    tail = sum(comb(11, k) for k in (0, 1, 2)) / 2**11
    assert paired.mcnemar(apart) == pytest.approx(2 * tail)
    assert paired.mcnemar(-apart) == pytest.approx(2 * tail)
    assert paired.mcnemar(np.zeros(5)) == 1.0


@quick
@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holms_correction_is_its_definition(p_values: list[float]) -> None:
    found = paired.holm(np.asarray(p_values))
    order, most = np.argsort(p_values, kind="stable"), 0.0
    for rank, at in enumerate(order):
        most = max(most, min(1.0, p_values[at] * (len(p_values) - rank)))
        assert found[at] == pytest.approx(most)
    assert paired.holm(np.asarray([0.01, 0.04, 0.03])) == pytest.approx([0.03, 0.06, 0.06])


@pytest.mark.parametrize("z", [0.0, 0.3, -2.0, 9.0])
def test_the_normal_tail_is_scipys(z: float) -> None:
    assert paired.normal(z * 0.02, 0.02) == pytest.approx(2 * norm.sf(abs(z)), rel=1e-9)


def test_the_paired_bootstrap_is_that_of_the_rows() -> None:
    apart = np.asarray([1] * 30 + [-1] * 10 + [0] * 160)
    rng = np.random.default_rng(1)
    drawn = apart[rng.integers(0, 200, (4000, 200))].mean(1)
    low, high = paired.bootstrap(apart, seed=3)
    assert (low, high) == pytest.approx(tuple(np.percentile(drawn, [2.5, 97.5])), abs=0.008)
    assert paired.bootstrap(apart, seed=3) == (low, high)
    assert low < apart.mean() < high


def test_all_are_compared_with_the_one_that_is_named_or_the_best() -> None:
    said, true = case(members=4, rows=400)
    by_name = dict(zip("abcd", said, strict=True))
    found = compare(by_name, true, against="c")
    assert {d.two for d in found.differences} == {"c"} and len(found.differences) == 3
    best = compare(by_name, true, against="best")
    assert best.against == best.models[0].name
    for one in best.differences:
        a, b = ((by_name[n].argmax(1) == true).mean() for n in (one.one, one.two))
        assert one.accuracy.value == pytest.approx(a - b) and a <= b
        assert one.accuracy.low <= one.accuracy.value <= one.accuracy.high
        assert one.only_one_right - one.only_two_right == round((a - b) * 400)
        assert one.p <= one.p_holm <= 1
    assert json.loads(json.dumps(best.as_json()))["rows"] == 400
    (same,) = compare({"x": said[0], "y": said[0]}, true).differences
    assert same.p == same.p_holm == 1.0 and same.accuracy.low == same.accuracy.high == 0
    assert compare({"x": said[0]}, true).differences == ()
