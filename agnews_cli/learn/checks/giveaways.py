"""Words that give the label away: most texts of one class have them, and hardly any other text."""

from __future__ import annotations

import numpy as np
from sklearn.feature_extraction.text import CountVectorizer

from agnews_cli.core.guards.data_facts import Giveaway
from agnews_cli.core.run.dataset import Rows

LEAST_COVERAGE, LEAST_PRECISION = 0.5, 0.99
_MOST_ROWS = 20_000
_LEAST_ROWS = 20  # with the word: fewer are alike by chance
_MOST_WORDS = 50_000
_MOST_TOLD = 10


def giveaways(train: Rows, *, count: int, seed: int) -> tuple[Giveaway, ...]:
    """The words, the most covering first; a text is its words, with case and without order."""
    rng = np.random.Generator(np.random.PCG64([seed, 0x617E]))
    chosen = np.sort(rng.permutation(len(train.classes))[:_MOST_ROWS])
    classes = np.asarray(train.classes, dtype=np.int64)[chosen]
    words = CountVectorizer(
        binary=True, lowercase=False, min_df=min(_LEAST_ROWS, len(chosen)), max_features=_MOST_WORDS
    )
    try:
        features = words.fit_transform(train.texts[int(row)] for row in chosen)
    except ValueError:  # no word stands in so many texts
        return ()
    of_class = np.stack(
        [np.asarray(features[classes == k].sum(axis=0)).ravel() for k in range(count)]
    )
    rows = np.maximum(np.bincount(classes, minlength=count), 1)
    best = of_class.argmax(axis=0)
    at = np.arange(features.shape[1])
    coverage = of_class[best, at] / rows[best]
    precision = of_class[best, at] / of_class.sum(axis=0)
    is_told = (coverage >= LEAST_COVERAGE) & (precision >= LEAST_PRECISION)
    names = words.get_feature_names_out()
    order = np.flatnonzero(is_told)[np.argsort(-coverage[is_told], kind="stable")][:_MOST_TOLD]
    return tuple(
        Giveaway(
            word=str(names[n]),
            label=int(best[n]),
            coverage=float(coverage[n]),
            precision=float(precision[n]),
        )
        for n in order
    )
