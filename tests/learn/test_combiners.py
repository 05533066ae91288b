"""Every combiner of the registry: its formula, what cannot change its answer, its files."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any, get_args

import pytest

np = pytest.importorskip("numpy")
pytest.importorskip("sklearn")
hypothesis = pytest.importorskip("hypothesis")

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from pydantic import TypeAdapter  # noqa: E402
from scipy.stats import entropy, rankdata  # noqa: E402

from agnews_cli.core.run.combiner import (  # noqa: E402
    Auto,
    Average,
    Bayesian,
    Best,
    Blend,
    By,
    Combiner,
    Confidence,
    Greedy,
    Plain,
    Rank,
    Stack,
    Vote,
    Weighted,
)
from agnews_cli.errors import ExtraMissing, ModelDamaged, TooFewToCombine  # noqa: E402
from agnews_cli.learn import combiners  # noqa: E402
from agnews_cli.learn.combiners import open_fitted  # noqa: E402
from agnews_cli.learn.figures import blend  # noqa: E402
from agnews_cli.learn.kinds.registry import modules  # noqa: E402

KINDS = modules(combiners)
EXAMPLES = {
    f"{kind} {number}": example
    for kind, module in KINDS.items()
    for number, example in enumerate(module.EXAMPLES)
}
WEIGHING = {n: h for n, h in EXAMPLES.items() if not isinstance(h, Stack | Auto | Vote | Rank)}
quick = settings(max_examples=15, deadline=None)


def case(
    seed: int = 0, members: int = 4, rows: int = 80, classes: int = 3, signal: float = 2.0
) -> tuple[Any, Any]:
    """(probabilities, true classes) of members that are right more often than not, all classes
    there."""
    rng = np.random.default_rng(seed)
    true = rng.permutation(np.arange(rows) % classes)
    scores = rng.normal(size=(rows, classes)) + signal * np.eye(classes)[true]
    each = scores + rng.normal(size=(members, rows, classes))
    return blend_softmax(each).astype(np.float32), true


def blend_softmax(scores: Any) -> Any:
    raised = np.exp(scores - scores.max(-1, keepdims=True))
    return raised / raised.sum(-1, keepdims=True)


CASES = st.builds(
    case, st.integers(0, 10**6), st.integers(1, 6), st.integers(20, 60), st.integers(2, 5)
)


def answer(how: Any, said: Any, true: Any, asked: Any = None) -> Any:
    fitted = combiners.fit(how, said, true)
    return combiners.apply(fitted, said if asked is None else asked)


def ready(how: Any) -> Any:
    """Or skip, where this machine has no such booster."""
    if isinstance(how, Stack) and how.by not in ("logistic", "neural"):
        pytest.importorskip(how.by)
    return how


# ---- all of them ---------------------------------------------------------------------------------


def test_each_kind_that_may_be_asked_for_has_a_file_and_examples() -> None:
    union = {*get_args(get_args(Plain)[0]), Auto}
    kinds = {one.model_fields["kind"].default for one in union}
    assert kinds == set(KINDS)
    for kind, module in KINDS.items():
        for example in module.EXAMPLES:
            assert TypeAdapter(Combiner).validate_python(example.model_dump()) == example
            assert example.kind == kind
    bys = {how.by for how in KINDS["stack"].EXAMPLES}
    assert bys == set(get_args(By))


@pytest.mark.parametrize("name", EXAMPLES)
def test_what_it_learnt_is_the_same_after_its_files(name: str, tmp_path: Path) -> None:
    how = ready(EXAMPLES[name])
    said, true = case()
    asked, _ = case(seed=9, rows=200)
    fitted = combiners.fit(how, said, true)
    fitted.write(tmp_path / "one")
    again = open_fitted(tmp_path / "one")
    assert dataclasses.replace(again, arrays={}) == dataclasses.replace(fitted, arrays={})
    assert np.array_equal(combiners.apply(again, asked), combiners.apply(fitted, asked))
    combiners.fit(how, said, true).write(tmp_path / "two")
    files = sorted(p.name for p in (tmp_path / "one").iterdir())
    for file in files:
        assert Path(file).suffix in (".json", ".safetensors", ".txt")
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("name", EXAMPLES)
def test_it_says_probabilities_of_each_row_by_itself(name: str, classes: int) -> None:
    how = ready(EXAMPLES[name])
    said, true = case(classes=classes, signal=3.0)
    fitted = combiners.fit(how, said, true)
    found = combiners.apply(fitted, said)
    assert found.shape == (80, classes) and (found >= 0).all()
    assert found.sum(1) == pytest.approx(np.ones(80), abs=1e-5)
    assert (found.argmax(1) == true).mean() > 0.7, "it learnt nothing"
    alone = combiners.apply(fitted, said[:, 7:8])
    assert alone[0] == pytest.approx(found[7], abs=1e-12)
    assert combiners.apply(fitted, said[:, :0]).shape == (0, classes)
    if fitted.weights is not None:
        assert sum(fitted.weights) == pytest.approx(1) and min(fitted.weights) >= 0
    needed = list(fitted.needed)
    assert np.array_equal(combiners.apply(fitted.pruned(), said[needed]), found)
    with pytest.raises(ValueError, match="are not of"):
        combiners.apply(fitted, said[1:])


@pytest.mark.parametrize("name", [n for n, how in EXAMPLES.items() if not isinstance(how, Stack)])
def test_members_in_another_order_are_the_same(name: str) -> None:
    @quick
    @given(CASES, st.randoms(use_true_random=False))
    def check(one: Any, random: Any) -> None:
        said, true = one
        order = list(range(len(said)))
        random.shuffle(order)
        found = answer(EXAMPLES[name], said[order], true)
        assert found == pytest.approx(answer(EXAMPLES[name], said, true), abs=2e-3)

    check()


def test_the_stacked_logistic_regression_knows_no_order_of_members() -> None:
    """Trees and networks draw by a column's number: theirs are as good, and not the same."""
    said, true = case(members=3)
    found = answer(Stack(), said[[2, 0, 1]], true, said[[2, 0, 1]])
    assert found == pytest.approx(answer(Stack(), said, true), abs=1e-3)


@pytest.mark.parametrize("name", [n for n, how in EXAMPLES.items() if not isinstance(how, Stack)])
def test_equal_members_are_that_member(name: str) -> None:
    how = EXAMPLES[name]

    @quick
    @given(CASES)
    def check(one: Any) -> None:
        (said, true), copies = one, 3
        found = answer(how, np.repeat(said[:1], copies, axis=0), true)
        if name in WEIGHING:
            assert found == pytest.approx(said[0], abs=1e-5)
        assert (found.argmax(1) == said[0].argmax(1)).all()

    check()


def test_one_member_more_that_equals_another_shares_its_weight() -> None:
    said, true = case(members=3, rows=300)
    twice = np.concatenate([said, said[:1]])
    found = combiners.fit(Weighted(), twice, true)
    assert combiners.apply(found, twice) == pytest.approx(answer(Weighted(), said, true), abs=1e-3)
    assert found.weights[0] == pytest.approx(found.weights[3], abs=1e-4)


@pytest.mark.parametrize("name", EXAMPLES)
def test_too_few_rows_are_one_clear_error_where_rows_are_needed(name: str) -> None:
    how = EXAMPLES[name]
    said, true = case(rows=4)
    if KINDS[how.kind].LEARNS:
        with pytest.raises(TooFewToCombine, match=how.kind):
            combiners.fit(how, said, true)
    else:
        assert answer(how, said, true).shape == (4, 3)


# ---- their formulas ------------------------------------------------------------------------------


@quick
@given(CASES)
def test_averages_and_votes_are_as_defined(one: Any) -> None:
    said, true = one
    assert answer(Average(), said, true) == pytest.approx(said.mean(0), abs=1e-6)
    found = answer(Vote(), said, true)
    for row, each in enumerate(said.argmax(2).T):
        votes = Counter(each.tolist()).most_common()
        tied = [c for c, count in votes if count == votes[0][1]]
        surest = max(tied, key=lambda c: said[:, row, c].mean())
        assert found[row].argmax() == surest


@quick
@given(CASES)
def test_ranks_are_scipys(one: Any) -> None:
    said, true = one
    said = said.round(1)  # with ties
    borda = (rankdata(said, axis=2) - 1).sum(0) + said.mean(0) / 2
    assert answer(Rank(), said, true) == pytest.approx(
        borda / borda.sum(1, keepdims=True), abs=1e-6
    )


@quick
@given(CASES, st.floats(0, 5))
def test_confidence_is_by_shannons_entropy(one: Any, sharpness: float) -> None:
    said, true = one
    sure = 1 - entropy(said.astype(float), axis=2) / np.log(said.shape[2])
    weights = (np.maximum(sure, 0) + 1e-6) ** sharpness
    expected = (weights[..., None] * said).sum(0) / weights.sum(0)[:, None]
    assert answer(Confidence(sharpness=sharpness), said, true) == pytest.approx(expected, abs=1e-3)


@quick
@given(CASES)
def test_no_other_weights_are_likelier_than_the_weighted_ones(one: Any) -> None:
    said, true = one
    least = blend.log_loss(answer(Weighted(), said, true), true)
    drawn = np.random.default_rng(0).dirichlet(np.ones(len(said)), 200)
    for weights in [*drawn, *np.eye(len(said))]:
        assert least <= blend.log_loss(np.tensordot(weights, said, 1), true) + 2e-4


@quick
@given(CASES)
def test_the_best_is_the_one_that_is_right_most_often(one: Any) -> None:
    said, true = one
    right = (said.argmax(2) == true).mean(1)
    fitted = combiners.fit(Best(), said, true)
    assert right[fitted.weights.index(1.0)] == right.max() and len(fitted.needed) == 1


def caruana(said: Any, true: Any, picks: int) -> Any:
    """Figure 1 of Caruana et al. 2004, word by word, by log loss; the best size counts."""
    bag: list[int] = []
    losses = []
    for _ in range(picks):
        trial = [
            blend.log_loss(said[[*bag, n]].astype(float).mean(0), true) for n in range(len(said))
        ]
        bag.append(int(np.argmin(trial)))
        losses.append(min(trial))
    kept = 1
    for size, loss in enumerate(losses, 1):
        if loss < losses[kept - 1] - 1e-4:
            kept = size
    return np.bincount(bag[:kept], minlength=len(said)) / kept


@quick
@given(CASES)
def test_greedy_selection_is_caruanas(one: Any) -> None:
    said, true = one
    fitted = combiners.fit(Greedy(picks=8), said, true)
    assert fitted.weights == pytest.approx(caruana(said, true, 8), abs=1e-9)


def test_what_a_budget_averages_by_is_the_weighted_combiner_with_a_prior() -> None:
    said, true = case(members=3, rows=300)
    names = ["a", "b", "c"]
    shares = blend.weights(dict(zip(names, said, strict=True)), true)
    drawn = combiners.fit(Weighted(prior_rows=3), said, true).weights
    assert [shares[name] for name in names] == pytest.approx(drawn, abs=1e-9)
    assert np.ptp(drawn) < np.ptp(combiners.fit(Weighted(), said, true).weights)
    equal = combiners.fit(Weighted(prior_rows=1e6), said, true).weights
    assert equal == pytest.approx(np.full(3, 1 / 3), abs=1e-3)


def test_pruned_greedy_picks_among_the_best_alone() -> None:
    said, true = case(members=6, rows=400)
    losses = [blend.log_loss(one, true) for one in said]
    fitted = combiners.fit(Greedy(keep=0.34), said, true)
    assert set(fitted.needed) <= set(np.argsort(losses)[:2].tolist())
    one_knows = np.stack([said[0], *np.full((3, *said[0].shape), 1 / 3)])
    one_knows[1:] += np.random.default_rng(0).uniform(0, 0.01, (3, 400, 3))
    assert combiners.fit(Greedy(), one_knows, true).weights[0] > 0.9
    bagged = combiners.fit(Greedy(bags=30), one_knows, true)
    assert 0.2 < bagged.weights[0] < 0.8, "it is away in half of the bags"


def test_bayesian_weights_are_exp_of_the_evidence() -> None:
    """Where each row says the same, bootstraps do not differ: the plain formula."""
    true = np.zeros(30, dtype=int)
    said = np.stack([np.tile([p, 1 - p], (30, 1)) for p in (0.60, 0.61, 0.62)])
    likely = np.asarray([0.60, 0.61, 0.62]) ** 30
    fitted = combiners.fit(Bayesian(), said, true)
    assert fitted.weights == pytest.approx(likely / likely.sum(), abs=1e-6)
    some = combiners.fit(Bayesian(effective_rows=10), said, true)
    tempered = likely ** (1 / 3)
    assert some.weights == pytest.approx(tempered / tempered.sum(), abs=1e-6)
    none = combiners.fit(Bayesian(effective_rows=0), said, true)
    assert none.weights == pytest.approx([1 / 3] * 3)


def test_bayesian_weights_on_one_member_are_said() -> None:
    said, true = case(members=2, rows=2000)
    flat = np.stack([said[0], np.full_like(said[0], 1 / 3)])
    fitted = combiners.fit(Bayesian(), flat, true)
    assert fitted.weights[0] > 0.99 and "100.0% of the weight is on one member" in fitted.why
    assert combiners.fit(Bayesian(effective_rows=1), flat, true).why == ""


def test_a_dynamic_blend_takes_whoever_is_sure_of_the_row() -> None:
    """Each member knows half of the rows, and is unsure and wrong on the others."""
    true = np.arange(400) % 2
    right = np.where(np.eye(2)[true] > 0, 0.95, 0.05)
    wrong = np.where(np.eye(2)[true] > 0, 0.35, 0.65)
    half = (np.arange(400) // 2 % 2 == 0)[:, None]
    said = np.stack([np.where(half, right, wrong), np.where(half, wrong, right)])
    dynamic, static = (
        blend.log_loss(answer(Blend(dynamic=d), said, true), true) for d in (True, False)
    )
    assert dynamic < 0.15 < 0.3 < static
    assert combiners.fit(Blend(dynamic=True), said, true).facts["slope"] > 1


def test_blended_weights_that_do_not_hold_on_other_rows_are_not_believed() -> None:
    said, true = case(signal=0.0, members=8, rows=60)
    drawn = [combiners.fit(Blend(), said, true, seed=seed) for seed in range(10)]
    equal = [one for one in drawn if one.weights == pytest.approx([1 / 8] * 8)]
    assert len(equal) > 1 and all("plain average" in one.why for one in equal)
    weighted = max(combiners.fit(Weighted(), said, true).weights)
    assert all(max(one.weights) < weighted for one in drawn), "all are drawn to equal ones"
    said, true = case(members=2, rows=600)
    useless = np.stack([said[0], np.full_like(said[0], 1 / 3)])
    assert combiners.fit(Blend(), useless, true).weights[0] > 0.9


@pytest.mark.parametrize("classes", [2, 4])
def test_the_stack_is_scikit_learns_logistic_regression(classes: int) -> None:
    from sklearn.linear_model import LogisticRegression

    said, true = case(classes=classes, rows=200)
    logs = np.log(said.astype(float))
    columns = (logs - logs.mean(2, keepdims=True)).transpose(1, 0, 2).reshape(200, -1)
    scaled = columns / columns.std()
    # Of two classes it keeps one row of coefficients, which then stands for the squares of two.
    strength = 2.0 if classes == 2 else 1.0
    model = LogisticRegression(C=strength, max_iter=500, tol=1e-8).fit(scaled, true)
    assert answer(Stack(), said, true) == pytest.approx(model.predict_proba(scaled), abs=1e-3)


def test_a_class_without_rows_keeps_the_averages_probability() -> None:
    said, _ = case(classes=4)
    true = case(classes=3)[1]
    found = answer(Stack(), said, true)
    assert found[:, 3] == pytest.approx(said.mean(0)[:, 3], abs=1e-6)
    assert found.sum(1) == pytest.approx(np.ones(80))
    with pytest.raises(TooFewToCombine, match="two classes"):
        combiners.fit(Stack(), said, np.zeros(80, dtype=int))


@pytest.mark.parametrize("by", ["xgboost", "lightgbm", "catboost"])
def test_a_booster_that_is_not_there_names_its_extra(
    by: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, by, None)
    with pytest.raises(ExtraMissing, match=by) as caught:
        combiners.fit(Stack(by=by), *case())
    assert "agnews-cli[boosters]" in caught.value.advice
    fitted = combiners.fit(Auto(among=(Stack(by=by),)), *case())
    assert f"stack was not tried: {caught.value.message}" in fitted.why
    assert fitted.kind == "average"


# ---- the choice among them -----------------------------------------------------------------------


def test_shuffled_labels_give_no_gain() -> None:
    taken = []
    for seed in range(6):
        said, true = case(seed, members=5, rows=400, classes=4)
        shuffled = np.random.default_rng(seed).permutation(true)
        fitted = combiners.fit(Auto(), said, shuffled)
        taken.append(fitted.kind)
        assert fitted.facts["tried"][0]["how"] == "average"
    assert taken == ["average"] * 6
    assert "the plain average is taken: none of 7 others is better by more than" in fitted.why


def test_what_is_really_better_is_taken_with_its_figures() -> None:
    """Nine members that guess beside one that knows: the average is worse than that one."""
    rng = np.random.default_rng(5)
    known, true = case(rows=1000, members=1, signal=3.0)
    guesses = blend_softmax(4 * rng.normal(size=(9, 1000, 3)))
    said = np.concatenate([known, guesses]).astype(np.float32)
    fitted = combiners.fit(Auto(), said, true)
    assert fitted.kind != "average"
    assert " is taken: " in fitted.why and "of the plain average on 1,000 rows" in fitted.why
    fresh = np.concatenate(
        [case(1, 1, 1000, signal=3.0)[0], blend_softmax(4 * rng.normal(size=(9, 1000, 3)))]
    )
    truth = case(1, 1, 1000, signal=3.0)[1]
    right = (combiners.apply(fitted, fresh).argmax(1) == truth).mean()
    assert right > (fresh.mean(0).argmax(1) == truth).mean() + 0.03


def test_each_row_is_asked_of_what_was_learnt_without_it() -> None:
    from agnews_cli.learn.combine.choice import out_of_fold

    said, true = case(rows=30)
    fold = np.arange(30) % 3
    seen: list[Any] = []

    def learn(inside: Any, classes: Any) -> Any:
        seen.append(inside[0, :, 0].tolist())
        return lambda asked: asked[0] + len(seen)

    found = out_of_fold(learn, said, true, fold)
    assert found == pytest.approx(said[0] + 1 + fold[:, None])
    for number, inside in enumerate(seen):
        assert inside == said[0, fold != number, 0].tolist()


def test_one_thread_learns(monkeypatch: pytest.MonkeyPatch) -> None:
    """On busy cores several made it seven times as slow: they wait for each other."""
    from threadpoolctl import threadpool_info, threadpool_limits

    plain, seen = KINDS["average"].fit, set()

    def fit(*asked: Any) -> Any:
        seen.update(pool["num_threads"] for pool in threadpool_info())
        return plain(*asked)

    monkeypatch.setattr(KINDS["average"], "fit", fit)
    with threadpool_limits(limits=2):
        combiners.fit(Average(), *case())
    assert seen == {1}


# ---- one temperature ----------------------------------------------------------------------------


def test_a_mean_of_calibrated_models_is_too_unsure_until_it_has_a_temperature() -> None:
    """On rows that it was not fitted on, and no answer is another."""
    said, true = case(rows=4_000, members=6)
    said = np.stack([blend.calibrated(one, true, least=0.02) for one in said])
    seen, unseen = said[:, :2_000], said[:, 2_000:]
    plain = combiners.fit(Average(), seen, true[:2_000])
    warm = combiners.calibrated(plain, seen, true[:2_000])
    assert 0.3 < warm.temperature < 0.95
    before, after = combiners.apply(plain, unseen), combiners.apply(warm, unseen)
    assert blend.log_loss(after, true[2_000:]) < 0.95 * blend.log_loss(before, true[2_000:])
    assert (before.argmax(1) == after.argmax(1)).all()
    np.testing.assert_allclose(after.sum(1), 1.0)


def test_few_rows_say_nothing_of_a_temperature() -> None:
    said, true = case(rows=99)
    assert combiners.calibrated(combiners.fit(Average(), said, true), said, true).temperature == 1.0


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_temperature_is_kept_and_leaves_each_kind_s_answers(name: str, tmp_path: Path) -> None:
    said, true = case(rows=120)
    fitted = combiners.fit(ready(EXAMPLES[name]), said, true)
    warm = combiners.calibrated(fitted, said, true)
    warm.write(tmp_path)
    again = combiners.apply(open_fitted(tmp_path), said)
    np.testing.assert_array_equal(again, combiners.apply(warm, said))
    np.testing.assert_array_equal(again.argmax(1), combiners.apply(fitted, said).argmax(1))


# ---- files and imports ---------------------------------------------------------------------------

DAMAGE: dict[str, Any] = {
    "none": None,
    "no JSON": "{",
    "another format": {"format": 3},
    "a weight too few": {"weights": [1.0]},
    "weights that are none": {"weights": [3.0, -1.0, -1.0, 0.0]},
    "a file that is away": {"sha256": {"x.json": "0" * 64}},
    "a file elsewhere": {"sha256": {"../combiner.json": "0" * 64}},
    "no digests": {"sha256": []},
    "no list": {"weights": 3},
    "a kind that learns no such thing": {"kind": "confidence", "weights": None},
    "what nothing is of": {"kind": "auto"},
    "no members": {"members": 0, "weights": None},
    "weights that are no numbers": {"weights": [math.nan, 0.5, 0.5, 0.0]},
    "weights that are a list each": {"weights": [[1], [1], [1], [1]]},
    "infinitely many": {"members": math.inf},
    "nested deep": "[" * 200_000,
    "facts nested deep": '{"format": 2, "facts": ' + "[" * 200_000 + "]" * 200_000 + "}",
    "a kind that is a path": {"kind": "../evil"},
    "a temperature of none": {"temperature": 0},
    "a temperature that is no number": {"temperature": math.nan},
    "a file named otherwise": {"sha256": {"a\0b": "0" * 64}},
}


def test_a_kind_that_is_not_known_is_named(tmp_path: Path) -> None:
    dataclasses.replace(combiners.fit(Average(), *case()), kind="oracle").write(tmp_path)
    with pytest.raises(ModelDamaged, match="the combiner 'oracle' is not known here"):
        open_fitted(tmp_path)


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_folder_is_one_clear_error(damage: str, tmp_path: Path) -> None:
    combiners.fit(Average(), *case()).write(tmp_path / "x")
    path = tmp_path / "x" / "combiner.json"
    change = DAMAGE[damage]
    if change is None:
        path.unlink()
    elif isinstance(change, str):
        path.write_text(change)
    else:
        path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ModelDamaged, match="cannot be loaded"):
        open_fitted(tmp_path / "x")


def test_a_combiner_that_is_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    combiners.fit(Stack(), *case()).write(tmp_path)
    for name in ("combiner.safetensors", "combiner.json"):
        (tmp_path / name).unlink()
        os.mkfifo(tmp_path / name)
        with pytest.raises(ModelDamaged, match="no plain file"):
            open_fitted(tmp_path)


def test_a_combiner_of_more_than_there_are_is_not_asked(tmp_path: Path) -> None:
    fitted = dataclasses.replace(
        combiners.fit(Vote(), *case()), members=99_999, classes=99_999, weights=None
    )
    fitted.write(tmp_path)
    with pytest.raises(ModelDamaged, match="joins 99999 members of 99999 classes"):
        open_fitted(tmp_path, (4, 3))


@pytest.mark.parametrize(
    ("how", "facts"),
    [
        (Blend(dynamic=True), {"belief": 5}),
        (Blend(dynamic=True), {"belief": -1}),
        (Blend(dynamic=True), {"slope": math.inf}),
        (Blend(dynamic=True), {"biases": "xx"}),
        (Stack(), {"there": [0, 0, 0]}),
        (Stack(), {"there": [0, 1, 5]}),
        (Stack(), {"by": "../evil"}),
        (Stack(), {"by": "__init__"}),
    ],
    ids=str,
)
def test_what_answers_with_no_probabilities_is_one_clear_error(
    how: Combiner, facts: dict[str, Any], tmp_path: Path
) -> None:
    fitted = combiners.fit(how, *case())
    dataclasses.replace(fitted, facts=fitted.facts | facts).write(tmp_path)
    with pytest.raises(ModelDamaged):
        open_fitted(tmp_path)


def test_damaged_arrays_are_one_clear_error(tmp_path: Path) -> None:
    fitted = combiners.fit(Stack(), *case())
    for name, array in {"nan": np.full(3, np.nan), "short": np.zeros(2)}.items():
        arrays = fitted.arrays | {"intercepts": array}
        dataclasses.replace(fitted, arrays=arrays).write(tmp_path / name)
    fitted.write(tmp_path / "cut")
    path = tmp_path / "cut" / "combiner.safetensors"
    path.write_bytes(path.read_bytes()[:-5])
    fitted.write(tmp_path / "none")
    (tmp_path / "none" / "combiner.safetensors").unlink()
    for name in ("nan", "short", "cut", "none"):
        with pytest.raises(ModelDamaged):
            open_fitted(tmp_path / name)


@pytest.mark.parametrize("by", ["xgboost", "lightgbm", "catboost"])
def test_a_damaged_booster_is_one_clear_error(
    by: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fitted = combiners.fit(ready(Stack(by=by)), *case())
    ((name, content),) = fitted.files.items()
    for number, broken in enumerate((b"", b"{}", content[: len(content) // 2])):
        fitted.write(tmp_path / str(number))
        (tmp_path / str(number) / name).write_bytes(broken)
        with pytest.raises(ModelDamaged, match=f"{name} is not what was written"):
            open_fitted(tmp_path / str(number))
    fitted.write(tmp_path / "whole")
    monkeypatch.setitem(sys.modules, by, None)
    with pytest.raises(ExtraMissing, match=by):
        open_fitted(tmp_path / "whole")


def test_what_is_quick_imports_nothing_slow() -> None:
    code = (
        "import sys, numpy as np\n"
        "from agnews_cli.core.run.combiner import Auto, Average, Bayesian, Best, Greedy\n"
        "from agnews_cli.learn import combiners\n"
        "said = np.random.default_rng(0).dirichlet(np.ones(3), (4, 30))\n"
        "for how in (Average(), Greedy(), Bayesian(), Best(), Auto(among=(Greedy(),))):\n"
        "    fitted = combiners.fit(how, said, np.arange(30) % 3)\n"
        "    combiners.apply(fitted, said)\n"
        "slow = {'torch', 'transformers', 'sklearn', 'pandas', 'scipy.stats', 'scipy.optimize'}\n"
        "assert not slow & set(sys.modules), slow & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_stacks_are_learnt_without_what_they_need_not_which_can_be_imported_still() -> None:
    """CatBoost alone needs pandas, and the network alone scikit-learn."""
    code = (
        "import sys, numpy as np\n"
        "from agnews_cli.core.run.combiner import Stack\n"
        "from agnews_cli.learn import combiners\n"
        "said = np.random.default_rng(0).dirichlet(np.ones(3), (4, 90))\n"
        "slow = {'torch', 'sklearn', 'pandas'}\n"
        "for by in ('lightgbm', 'xgboost', 'neural'):\n"
        "    slow -= {'sklearn'} if by == 'neural' else set()\n"
        "    fitted = combiners.fit(Stack(by=by), said, np.arange(90) % 3)\n"
        "    combiners.apply(fitted, said)\n"
        "    assert not slow & set(sys.modules), slow & set(sys.modules)\n"
        "import sklearn, pandas"
    )
    for by in ("xgboost", "lightgbm"):
        ready(Stack(by=by))
    subprocess.run([sys.executable, "-c", code], check=True)


def test_what_answers_in_a_users_notebook_leaves_their_booster_whole(tmp_path: Path) -> None:
    combiners.fit(ready(Stack(by="lightgbm")), *case()).write(tmp_path)
    said, _ = case()
    np.save(tmp_path / "said.npy", said)
    code = (
        "import sys, numpy as np\n"
        "from pathlib import Path\n"
        "from agnews_cli.learn import combiners\n"
        f"folder = Path({str(tmp_path)!r})\n"
        "combiners.apply(combiners.open_fitted(folder), np.load(folder / 'said.npy'))\n"
        "from lightgbm import LGBMClassifier\n"
        "LGBMClassifier(verbose=-1).fit(np.eye(4), [0, 1, 0, 1])"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
