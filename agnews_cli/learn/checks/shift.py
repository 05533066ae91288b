"""How far the rows of a split are from the training rows: labels, lengths, words, all together.

A p-value says whether a difference may be chance; of many rows every difference is none, so each
has its size beside it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import sparse, stats
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression

from agnews_cli.core.guards.data_facts import Shift
from agnews_cli.core.run.dataset import Rows, Split

_MOST_ROWS = 5_000
"""Of each side: a classifier on so many sees differences of three points."""
_LEAST_ROWS = 20
_MOST_WORDS = 50_000
_SHOWN_WORDS = 8

Indices = NDArray[np.int64]


def shift(split: Split, rows: Rows, train: Rows, *, count: int, seed: int) -> Shift | None:
    """None where either side has too few rows to say anything."""
    if min(len(rows.classes), len(train.classes)) < _LEAST_ROWS:
        return None
    rng = np.random.Generator(np.random.PCG64([seed, 0x541F7]))
    here, there = _some(rows, rng), _some(train, rng)
    label_p, label_effect = _labels(rows, train, count)
    lengths = stats.ks_2samp([len(text) for text in here], [len(text) for text in there])
    unseen, usual = _unseen(here, there)
    told_apart, p, words = _told_apart(here, there, seed)
    return Shift(
        split=split,
        rows=len(rows.classes),
        train_rows=len(train.classes),
        label_p=label_p,
        label_effect=label_effect,
        length_p=float(lengths.pvalue),
        length_effect=float(lengths.statistic),
        unseen=unseen,
        unseen_usual=usual,
        told_apart=told_apart,
        told_apart_p=p,
        words=words,
    )


def _some(rows: Rows, rng: np.random.Generator) -> list[str]:
    chosen = rng.permutation(len(rows.classes))[:_MOST_ROWS]
    return [rows.texts[int(row)] for row in chosen]


def _labels(rows: Rows, train: Rows, count: int) -> tuple[float, float]:
    """(p of Pearson's χ², Cramér's V) of the table of splits and labels."""
    both = [np.bincount(np.asarray(one.classes), minlength=count) for one in (rows, train)]
    table = np.stack(both)
    table = table[:, table.sum(0) > 0]
    if table.shape[1] < 2:
        return 1.0, 0.0
    found = stats.chi2_contingency(table, correction=False)
    return float(found.pvalue), float(np.sqrt(found.statistic / table.sum()))  # two splits


def _unseen(here: Sequence[str], there: Sequence[str]) -> tuple[float, float]:
    """Share of the words that the training texts do not have, here and in some of their own."""
    held = min(len(here), len(there) // 2)
    analyse = CountVectorizer().build_analyzer()
    known = {word for text in there[held:] for word in analyse(text)}

    def share(texts: Sequence[str]) -> float:
        words = [word for text in texts for word in analyse(text)]
        return sum(word not in known for word in words) / max(1, len(words))

    return share(here[:held]), share(there[:held])


def _told_apart(
    here: Sequence[str], there: Sequence[str], seed: int
) -> tuple[float, float, tuple[str, ...]]:
    """(accuracy, p, words) of a classifier two-sample test (Lopez-Paz and Oquab 2017).

    As many rows of each; the model is fitted on one half and asked about the other. p: that half
    of them, or fewer, would be right by chance (binomial, one-sided).
    """
    count = min(len(here), len(there))
    texts = [*here[:count], *there[:count]]
    is_here = np.repeat([True, False], count)
    order = np.random.Generator(np.random.PCG64([seed, 0xC257])).permutation(len(texts))
    fitted, asked = order[: len(order) // 2], order[len(order) // 2 :]
    words = CountVectorizer(binary=True, min_df=2, max_features=_MOST_WORDS)
    try:
        features = words.fit_transform(texts)
    except ValueError:  # no word stands in two texts
        return 0.5, 1.0, ()
    model = LogisticRegression(C=0.1, max_iter=200).fit(features[fitted], is_here[fitted])
    right = int((model.predict(features[asked]) == is_here[asked]).sum())
    p = float(stats.binomtest(right, len(asked), 0.5, alternative="greater").pvalue)
    best = np.argsort(-np.abs(_weights(model, features)))[:_SHOWN_WORDS]
    names = words.get_feature_names_out()
    return right / len(asked), p, tuple(str(names[at]) for at in best)


def _weights(model: LogisticRegression, features: sparse.csr_array) -> NDArray[np.float64]:
    """What each word adds, by how many rows have it."""
    share = np.asarray(features.mean(axis=0)).ravel()
    return np.asarray(model.coef_[0] * np.sqrt(share * (1 - share)))
