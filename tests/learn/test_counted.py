"""Classical models of counted words: each learns, is kept whole, and answers by its files alone."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

pytestmark = pytest.mark.train
np = pytest.importorskip("numpy")
pytest.importorskip("sklearn")

from sklearn.ensemble import RandomForestClassifier  # noqa: E402

from agnews_cli.core.run.method import WordCounts  # noqa: E402
from agnews_cli.learn.models.forest import Forest, Trees  # noqa: E402
from agnews_cli.learn.models.linear import Linear  # noqa: E402

CLASSIFIERS = ("both", "naive_bayes", "svm", "logistic_regression", "random_forest")
WORDS = [[f"{kind}{n}" for n in range(30)] for kind in ("wa", "spo", "mo", "te")]


def rows(count: int, classes: int, seed: int = 0) -> tuple[list[str], np.ndarray]:
    rng, every = random.Random(seed), [word for words in WORDS for word in words]
    labels = [n % classes for n in range(count)]
    texts = [
        " ".join(rng.choice(WORDS[k] if rng.random() < 0.5 else every) for _ in range(8))
        for k in labels
    ]
    return texts, np.array(labels)


def fitted(classifier: str, classes: int, **given: object) -> Linear | Forest:
    fit = Forest.fit if classifier == "random_forest" else Linear.fit
    (texts, labels), held = rows(240, classes), rows(80, classes, seed=1)
    return fit(texts, labels, *held, count=classes, seed=0, classifier=classifier, **given)  # type: ignore[arg-type]


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("classifier", CLASSIFIERS)
def test_it_learns_and_answers_alike_when_it_is_opened_again(
    classifier: str, classes: int, tmp_path: Path
) -> None:
    model = fitted(classifier, classes)
    texts, labels = rows(200, classes, seed=2)
    said = model.predict(texts)
    assert said.shape == (200, classes) and np.allclose(said.sum(1), 1, atol=1e-5)
    assert (said.argmax(1) == labels).mean() > 0.75
    model.save(tmp_path / model.kind)
    again = type(model).load(tmp_path / model.kind)
    assert np.array_equal(again.predict(texts), said)
    assert np.array_equal(fitted(classifier, classes).predict(texts), said), "drawn by the seed"
    names = {path.name for path in (tmp_path / model.kind).iterdir()}
    assert ("characters.json" in names) == (classifier == "both"), "alone it sees words"


def test_each_classifier_is_another_one_and_has_a_title() -> None:
    texts, _ = rows(50, 4, seed=3)
    answers = [fitted(name, 4).predict(texts) for name in CLASSIFIERS]
    for number, one in enumerate(answers):
        assert all(not np.allclose(one, other) for other in answers[:number])
    titles = {WordCounts.model_validate({"classifier": name}).title for name in CLASSIFIERS}
    assert len(titles) == len(CLASSIFIERS)


def test_a_forest_asks_its_trees_as_scikit_learn_does() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.random((300, 12), dtype=np.float32), rng.integers(0, 3, 300)
    x[rng.random(x.shape) < 0.5] = 0  # as words that a text does not have
    for depth in (None, 1):
        grown = RandomForestClassifier(20, max_depth=depth, random_state=0).fit(x, y * 2)
        asked = rng.random((100, 12), dtype=np.float32)
        share = Trees.of(grown, 6)(asked)
        assert np.allclose(share[:, ::2], grown.predict_proba(asked), atol=1e-6)
        assert not share[:, 1::2].any(), "classes without a row"


def test_rare_classes_count_where_they_are_weighed() -> None:
    texts, labels = rows(240, 2)
    keep = np.flatnonzero((labels == 0) | (np.arange(240) < 24))
    some = [texts[n] for n in keep], labels[keep]
    asked, truth = rows(200, 2, seed=4)
    weights = np.array([0.55, 5.5])
    for classifier in ("svm", "logistic_regression", "random_forest"):
        fit = Forest.fit if classifier == "random_forest" else Linear.fit
        given = {"count": 2, "seed": 0, "classifier": classifier}
        plain = fit(*some, [], labels[:0], **given)  # type: ignore[arg-type]
        weighed = fit(*some, [], labels[:0], **given, weights=weights)  # type: ignore[arg-type]
        found = [(m.predict(asked).argmax(1)[truth == 1] == 1).mean() for m in (plain, weighed)]
        assert found[1] > found[0], classifier
