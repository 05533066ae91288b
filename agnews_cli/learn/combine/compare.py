"""Models on the same rows, paired: `core.run.comparison` from what they say."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from agnews_cli.core.run.comparison import Compared, Comparison, Difference
from agnews_cli.core.run.evaluation import Interval
from agnews_cli.learn.figures import macro_f1, paired
from agnews_cli.learn.figures.accuracy import accuracy, calibration_error
from agnews_cli.learn.figures.blend import log_loss


def compare(
    said: Mapping[str, NDArray[np.floating]],
    classes: NDArray[np.integer],
    *,
    against: str | None = None,
    seed: int = 0,
) -> Comparison:
    """said: by name, (rows, classes); `against`: the one that each other is compared with, `best`
    for the most often right; None: each with each. Holm's correction is over all that are made."""
    right = {name: one.argmax(1) == classes for name, one in said.items()}
    models = [_figures(name, said[name], classes, right[name]) for name in said]
    models.sort(key=lambda one: (-one.accuracy.value, one.loss))
    names = [one.name for one in models]
    if against == "best" and "best" not in said:
        against = names[0]
    pairs = list(combinations(names, 2))
    if against is not None:
        pairs = [(name, against) for name in names if name != against]
    aparts = [right[one].astype(np.int8) - right[two] for one, two in pairs]
    p_values = np.asarray([paired.mcnemar(apart) for apart in aparts])
    differences = [
        _difference(pair, apart, float(p), float(holm), seed)
        for pair, apart, p, holm in zip(pairs, aparts, p_values, paired.holm(p_values), strict=True)
    ]
    return Comparison(
        rows=len(classes), against=against, models=tuple(models), differences=tuple(differences)
    )


def _figures(
    name: str, one: NDArray[np.floating], classes: NDArray[np.integer], right: NDArray[np.bool_]
) -> Compared:
    return Compared(
        name=name,
        accuracy=accuracy(int(right.sum()), len(classes)),
        loss=log_loss(one, classes),
        calibration_error=calibration_error(one, classes),
        macro_f1=macro_f1.macro_f1(_confusion(one, classes)),
    )


def _confusion(one: NDArray[np.floating], classes: NDArray[np.integer]) -> NDArray[np.int64]:
    """(true, predicted) counts."""
    count = one.shape[1]
    pairs = np.bincount(classes * count + one.argmax(1), minlength=count * count)
    return pairs.reshape(count, count).astype(np.int64)


def _difference(
    pair: tuple[str, str], apart: NDArray[np.int8], p: float, holm: float, seed: int
) -> Difference:
    low, high = paired.bootstrap(apart, seed=seed)
    mean = float(apart.mean())
    return Difference(
        one=pair[0],
        two=pair[1],
        accuracy=Interval(value=mean, low=min(low, mean), high=max(high, mean), method="bootstrap"),
        only_one_right=int((apart > 0).sum()),
        only_two_right=int((apart < 0).sum()),
        p=p,
        p_holm=holm,
    )
