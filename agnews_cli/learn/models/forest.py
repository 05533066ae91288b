"""A random forest of words (Breiman 2001), a baseline of the literature.

scikit-learn grows it. What is stored is a vocabulary (JSON) and the trees as arrays (safetensors):
nothing is pickled, and how a version of scikit-learn keeps its trees does not matter.
"""

from __future__ import annotations

import json
import os
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

_TREES, _LEAST_LEAF, _WORDS = 200, 2, 20_000
_CHUNK_ROWS = 500
"""Their words are laid out densely: 40 MB."""
_OPTIONS: dict[str, Any] = {"analyzer": "word", "sublinear_tf": True, "dtype": np.float32}
_LEAF = -1
_LEAST_SHARE = 1e-4
"""No class is impossible: a leaf has seen few rows."""


@dataclass(slots=True)
class Trees:
    """All trees one after the other. `feature`, `threshold`, `left`, `right`: (nodes,), a leaf has
    no children (-1); `share`: (nodes, classes), of the rows of a leaf; `roots`: (trees,)."""

    feature: NDArray[np.int32]
    threshold: NDArray[np.float64]
    left: NDArray[np.int32]
    right: NDArray[np.int32]
    share: NDArray[np.float32]
    roots: NDArray[np.int32]

    @classmethod
    def of(cls, model: Any, count: int) -> Trees:
        """Of what scikit-learn grew; classes without a row have no share."""
        grown = [one.tree_ for one in model.estimators_]
        sizes = np.array([tree.node_count for tree in grown])
        roots = np.concatenate([[0], np.cumsum(sizes)[:-1]])

        def children(name: str) -> NDArray[np.int32]:
            each = [getattr(tree, name) for tree in grown]
            moved = [np.where(c < 0, _LEAF, c + root) for c, root in zip(each, roots, strict=True)]
            return np.concatenate(moved).astype(np.int32)

        seen = np.concatenate([tree.value[:, 0, :] for tree in grown])
        share = np.zeros((len(seen), count), np.float32)
        share[:, model.classes_] = seen / seen.sum(1, keepdims=True)
        return cls(
            feature=np.concatenate([tree.feature for tree in grown]).astype(np.int32),
            threshold=np.concatenate([tree.threshold for tree in grown]),
            left=children("children_left"),
            right=children("children_right"),
            share=share,
            roots=roots.astype(np.int32),
        )

    def __call__(self, words: NDArray[np.float32]) -> NDArray[np.float64]:
        """The mean of all trees' shares, (rows, classes). words: (rows, features)."""
        found = np.zeros((len(words), self.share.shape[1]))
        for root in self.roots:
            node = np.full(len(words), root, np.int32)
            going = np.arange(len(words))
            while len(going):
                here = node[going]
                is_left = words[going, self.feature[here]] <= self.threshold[here]
                node[going] = np.where(is_left, self.left[here], self.right[here])
                going = going[self.left[node[going]] != _LEAF]
            found += self.share[node]
        return found / len(self.roots)


class Forest:
    """Classes are 0..n-1."""

    kind: ClassVar[CandidateKind] = "forest"

    def __init__(self, vectorizer: TfidfVectorizer, trees: Trees, temperature: float = 1.0) -> None:
        self._vectorizer, self._trees, self.temperature = vectorizer, trees, temperature

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
        classifier: str = "random_forest",
    ) -> Forest:
        """Grow it, and take its temperature on the validation rows; as `Linear.fit`."""
        from sklearn.ensemble import RandomForestClassifier

        vectorizer = _vectorizer(max_features=_WORDS)
        by_class = None if weights is None else dict(enumerate(weights.tolist()))
        model = RandomForestClassifier(
            n_estimators=_TREES,
            min_samples_leaf=_LEAST_LEAF,
            random_state=seed,
            class_weight=by_class,
            n_jobs=int(os.environ.get("OMP_NUM_THREADS", "1")),  # changes no tree
        )
        model.fit(vectorizer.fit_transform(texts), classes)
        forest = cls(vectorizer, Trees.of(model, count))
        if len(validation_texts):
            forest.temperature = blend.temperature(
                forest._scores(validation_texts), validation_classes
            )
        return forest

    def adjust_as(self, others: Sequence[Forest]) -> None:
        """Take the temperature from forests that had validation rows."""
        self.temperature = float(np.exp(np.mean([np.log(one.temperature) for one in others])))

    def _scores(self, texts: Sequence[str]) -> NDArray[np.float64]:
        parts = [
            self._trees(self._vectorizer.transform(texts[start : start + _CHUNK_ROWS]).toarray())
            for start in range(0, len(texts), _CHUNK_ROWS)
        ]
        return np.log(np.maximum(np.concatenate(parts), _LEAST_SHARE))

    def predict(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Class probabilities, (texts, classes)."""
        return blend.softmax(self._scores(texts) / self.temperature).astype(np.float32)

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        words = self._vectorizer.get_feature_names_out().tolist()
        facts = {"vocabulary": words, "temperature": self.temperature}
        (folder / "words.json").write_text(json.dumps(facts), "utf-8")
        arrays = {name: getattr(self._trees, name) for name in Trees.__slots__}
        save_file(arrays | {"idf": self._vectorizer.idf_}, folder / "trees.safetensors")

    @classmethod
    def load(cls, folder: Path) -> Forest:
        facts = json.loads((folder / "words.json").read_text("utf-8"))
        arrays = load_file(folder / "trees.safetensors")
        vectorizer = _vectorizer(vocabulary=facts["vocabulary"])
        vectorizer.idf_ = arrays.pop("idf")
        return cls(vectorizer, Trees(**arrays), facts["temperature"])


def _vectorizer(**words: Any) -> TfidfVectorizer:
    from sklearn.feature_extraction.text import TfidfVectorizer

    return TfidfVectorizer(**_OPTIONS, **words)
