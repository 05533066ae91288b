"""Bag-of-words models from scikit-learn: an answer within seconds, and the yardstick for the rest.

As the yardstick two views of the text, averaged: complement naive Bayes (Rennie et al. 2003) on
TF-IDF of words and word pairs, and a linear SVM on TF-IDF of character n-grams, the pair that did
best in cross-validation (benchmarks/RESULTS.md). Each classifier alone is a baseline of the
literature. All are one matrix product, so what is stored is a vocabulary (JSON) and weights
(safetensors); nothing is pickled.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from agnews_cli.core.run.job import CandidateKind
from agnews_cli.learn.figures import blend

if TYPE_CHECKING:
    from sklearn.feature_extraction.text import TfidfVectorizer

_VIEWS: dict[str, dict[str, Any]] = {
    "words": {"analyzer": "word", "ngram_range": (1, 2), "sublinear_tf": True},
    "characters": {"analyzer": "char_wb", "ngram_range": (2, 5), "sublinear_tf": True},
}

_NEVER = -1e4
_ALONE = ("words",)
_VIEWS_OF = {"both": ("words", "characters")}
"""Each other classifier sees words alone."""


def _classifier(asked: str, view: str, seed: int, weights: NDArray[np.float64] | None) -> Any:
    from sklearn.linear_model import LogisticRegression
    from sklearn.naive_bayes import ComplementNB
    from sklearn.svm import LinearSVC

    by_class = None if weights is None else dict(enumerate(weights.tolist()))
    if asked == "naive_bayes" or (asked == "both" and view == "words"):
        # It compares each class with the rest, so that rare ones are answered.
        return ComplementNB(alpha=0.1 if asked == "both" else 0.3)
    if asked == "logistic_regression":
        return LogisticRegression(C=3.0, max_iter=300, class_weight=by_class)
    return LinearSVC(C=0.3, random_state=seed, class_weight=by_class)


@dataclass(slots=True)
class FittedView:
    """One fitted view. weights: (features, classes); bias: (classes,)."""

    vectorizer: TfidfVectorizer
    weights: NDArray[np.float32]
    bias: NDArray[np.float32]
    temperature: float = 1.0
    shift: NDArray[np.float32] | float = 0.0
    """What was added to the bias so that rare classes are answered."""

    def scores(self, texts: Sequence[str]) -> NDArray[np.float64]:
        product = self.vectorizer.transform(texts) @ self.weights
        return np.asarray(product + self.bias, dtype=np.float64)

    def adjust(
        self,
        scores: NDArray[np.float64],
        classes: NDArray[np.int64],
        weights: NDArray[np.float64] | None,
    ) -> None:
        """Take the temperature, and with weights the bias too, that suit rows it has not seen."""
        if weights is not None:
            self.shift = blend.offsets(scores, classes, weights).astype(np.float32)
            self.bias = self.bias + self.shift
            scores = scores + self.shift
        self.temperature = blend.temperature(scores, classes)


class Linear:
    """The average of the views. Classes are 0..n-1."""

    kind: ClassVar[CandidateKind] = "linear"

    def __init__(self, views: dict[str, FittedView]) -> None:
        self._views = views

    @classmethod
    def fit(
        cls,
        texts: Sequence[str],
        classes: NDArray[np.int64],
        validation_texts: Sequence[str],
        validation_classes: NDArray[np.int64],
        *,
        count: int,
        seed: int,
        weights: NDArray[np.float64] | None = None,
        classifier: str = "both",
    ) -> Linear:
        """Fit each view, and its temperature on the validation rows.

        `weights`: of each class, (`count`,). Without validation rows see `adjust_as`. `classifier`:
        of `WordCounts`.
        """
        views = {}
        for name in _VIEWS_OF.get(classifier, _ALONE):
            least = 3 if name == "characters" and len(texts) > 2000 else 1
            vectorizer = _vectorizer(name, min_df=least)
            features = vectorizer.fit_transform(texts)
            model = _classifier(classifier, name, seed, weights).fit(features, classes)
            view = FittedView(vectorizer, *_matrix(model, count))
            if len(validation_texts):
                view.adjust(view.scores(validation_texts), validation_classes, weights)
            views[name] = view
        return cls(views)

    def adjust_as(self, others: Sequence[Linear]) -> None:
        """Take temperatures and biases from models of the same kind that had validation rows."""
        for name, view in self._views.items():
            same = [other._views[name] for other in others]
            view.temperature = float(np.exp(np.mean([np.log(v.temperature) for v in same])))
            view.bias = np.asarray(view.bias + sum(v.shift for v in same) / len(same), np.float32)

    def predict(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Class probabilities, (texts, classes)."""
        each = [blend.softmax(v.scores(texts) / v.temperature) for v in self._views.values()]
        return np.mean(each, axis=0).astype(np.float32)

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for name, view in self._views.items():
            vectorizer = view.vectorizer
            words = vectorizer.get_feature_names_out().tolist()
            (folder / f"{name}.json").write_text(
                json.dumps({"vocabulary": words, "temperature": view.temperature}), "utf-8"
            )
            arrays = {"idf": vectorizer.idf_, "weights": view.weights, "bias": view.bias}
            save_file(arrays, folder / f"{name}.safetensors")

    @classmethod
    def load(cls, folder: Path) -> Linear:
        views = {}
        for name in _VIEWS:
            if not (folder / f"{name}.json").exists():  # of a classifier that sees the other alone
                continue
            facts = json.loads((folder / f"{name}.json").read_text("utf-8"))
            arrays = load_file(folder / f"{name}.safetensors")
            vectorizer = _vectorizer(name, vocabulary=facts["vocabulary"])
            vectorizer.idf_ = arrays["idf"]
            views[name] = FittedView(
                vectorizer, arrays["weights"], arrays["bias"], facts["temperature"]
            )
        return cls(views)


def _vectorizer(view: str, **words: Any) -> TfidfVectorizer:
    from sklearn.feature_extraction.text import TfidfVectorizer

    return TfidfVectorizer(**_VIEWS[view], dtype=np.float32, **words)


def _matrix(model: Any, count: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(features, classes) weights and (classes,) bias; two-class models have one score, so two.

    A class without a row scores lower than any other.
    """
    if hasattr(model, "feature_log_prob_"):  # naive Bayes
        weights, bias = model.feature_log_prob_.T, np.zeros(len(model.classes_))
    else:
        weights, bias = model.coef_.T, model.intercept_
    if weights.shape[1] == 1 and len(model.classes_) == 2:
        weights, bias = np.hstack([-weights, weights]), np.concatenate([-bias, bias])
    if len(model.classes_) < count:
        wide, low = np.zeros((len(weights), count)), np.full(count, _NEVER)
        wide[:, model.classes_], low[model.classes_] = weights, bias
        weights, bias = wide, low
    return np.ascontiguousarray(weights, np.float32), np.asarray(bias, np.float32)
