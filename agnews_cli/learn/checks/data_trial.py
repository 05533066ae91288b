"""What more rows would bring, and cleaner labels: tried with complement naive Bayes of words, which
is ready in a second, on rows that are held out.

The learning curve: stratified subsets, each half of the next. The trial of labels: the training
rows without those that are suspects (`suspects`) beside all of them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from agnews_cli.core.advice.measured import CurvePoint, LabelDoubts, LearningCurve
from agnews_cli.core.run.dataset import Rows
from agnews_cli.learn.checks import suspects
from agnews_cli.learn.models.linear import Linear
from agnews_cli.learn.rows.parts import limit_rows, split_off

MOST_ROWS = 20_000
"""As many take about half a minute."""
_CLASSIFIER = "naive_bayes"
_MOST_TESTED = 4_000
_SHARE_TESTED = 0.2
_SIZES = 6
_LEAST_A_CLASS = 5
_DRAWS = 3
"""Of subsets of at most a quarter of the rows: one alone is a matter of luck."""

Indices = NDArray[np.int64]


class DataTrial:
    """One data set, its rows in two parts. Classes with fewer than ten rows are left out."""

    def __init__(self, train: Rows, *, count: int, seed: int) -> None:
        self._train, self._count, self._seed = train, count, seed
        classes = self._classes = np.asarray(train.classes, dtype=np.int64)
        chosen = limit_rows(classes, MOST_ROWS, seed=seed)
        sizes = np.bincount(classes[chosen], minlength=count)
        chosen = chosen[sizes[classes[chosen]] >= 2 * _LEAST_A_CLASS]
        if not len(chosen):
            self._inside = self._outside = chosen
            return
        share = min(_SHARE_TESTED, _MOST_TESTED / len(chosen))
        parts = split_off(classes[chosen], share=share, seed=seed)
        self._inside, self._outside = (chosen[part] for part in parts)

    def curve(self) -> LearningCurve | None:
        """None where there are too few rows for three sizes."""
        inside, held = self._inside, len(self._outside)
        named = self._classes[inside]
        numbers = [len(inside) // 2**n for n in range(_SIZES)]
        least = _LEAST_A_CLASS * len(np.unique(named))
        numbers = sorted(number for number in numbers if number >= least)
        if len(numbers) < 3 or len(np.unique(named)) < 2:
            return None
        points = []
        for number in numbers:
            draws = _DRAWS if 4 * number <= len(inside) else 1
            parts = (limit_rows(named, number, seed=self._seed + draw) for draw in range(draws))
            errors = [1 - float(self._right(inside[part]).mean()) for part in parts]
            points.append(CurvePoint(rows=number, error=float(np.mean(errors)), draws=draws))
        return LearningCurve(points=tuple(points), tested=held)

    def doubts(self) -> LabelDoubts | None:
        """None where no label can be asked about."""
        inside = self._inside
        named = self._classes[inside]
        if len(np.unique(named)) < 2:
            return None
        said = suspects.out_of_fold(
            self._texts(inside), named, count=self._count, seed=self._seed, classifier=_CLASSIFIER
        )
        counted = suspects.confident(said, named)
        is_suspect = (counted >= 0) & (counted != named)
        kept = inside[~is_suspect]
        if len(np.unique(self._classes[kept])) < len(np.unique(named)):
            return None
        apart = self._right(kept).astype(float) - self._right(inside)
        return LabelDoubts(
            asked=len(inside),
            suspects=int(is_suspect.sum()),
            gain=float(apart.mean()),
            gain_error=float(apart.std() / np.sqrt(len(apart))),
        )

    def _right(self, rows: Indices) -> NDArray[np.bool_]:
        """Which of the held-out rows a model is right about that was trained on `rows`."""
        texts, named = self._texts(self._outside), self._classes[self._outside]
        model = Linear.fit(
            self._texts(rows),
            self._classes[rows],
            texts,
            named,
            count=self._count,
            seed=self._seed,
            classifier=_CLASSIFIER,
        )
        return np.asarray(model.predict(texts).argmax(1) == named)

    def _texts(self, rows: Indices) -> list[str]:
        return [self._train.texts[int(row)] for row in rows]
