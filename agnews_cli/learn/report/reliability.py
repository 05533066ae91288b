"""How far probabilities can be taken as they are, before and after one temperature.

The diagram of DeGroot and Fienberg 1983 in the form of Guo et al. 2017: in each of ten bins of
equal width, how sure the answers are and how many of them are right.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from agnews_cli.core.report.figures import Bin, On, Reliability
from agnews_cli.learn.combine.logits import UNKNOWN, Logits
from agnews_cli.learn.figures.accuracy import calibration_error
from agnews_cli.learn.figures.blend import softmax, temperature

BINS = 10
_FEWEST_ROWS = 20

Floats = NDArray[np.float64]


def reliability(
    validation: Logits | None, test: Logits | None, built_in: float | None = None
) -> Reliability | None:
    """On the test rows where there are any. `built_in`: the temperature that is in the model.

    None where too few rows were asked about, or no class of them is known.
    """
    on: On = "test" if _is_enough(test) else "validation"
    asked = test if on == "test" else validation
    if asked is None or not _is_enough(asked):
        return None
    scores, classes = asked.delivered.astype(np.float64), asked.classes.astype(np.int64)
    if built_in is not None:
        t, before, after = built_in, softmax(scores * built_in), softmax(scores)
    else:
        before = softmax(scores)
        if on == "test" and validation is not None and _is_enough(validation):
            t = temperature(validation.delivered.astype(np.float64), validation.classes)
            after = softmax(scores / t)
        else:
            t, after = _from_other_half(scores, classes)
    return Reliability(
        on=on,
        rows=len(classes),
        temperature=t,
        how="fitted" if built_in is None else "built in",
        before=bins(before, classes),
        after=bins(after, classes),
        error_before=calibration_error(before, classes),
        error_after=calibration_error(after, classes),
    )


def _is_enough(said: Logits | None) -> bool:
    return (
        said is not None and len(said.classes) >= _FEWEST_ROWS and int(said.classes[0]) != UNKNOWN
    )


def _from_other_half(scores: Floats, classes: NDArray[np.int64]) -> tuple[float, Floats]:
    """(the geometric mean of both temperatures, what each half says with that of the other)."""
    after, found = np.empty_like(scores), []
    for half in (0, 1):
        here, there = slice(half, None, 2), slice(1 - half, None, 2)
        found.append(temperature(scores[there], classes[there]))
        after[here] = softmax(scores[here] / found[-1])
    return float(np.exp(np.log(found).mean())), after


def bins(probabilities: Floats, classes: NDArray[np.int64], count: int = BINS) -> tuple[Bin, ...]:
    """Those that have rows; probabilities: (rows, classes)."""
    sure, right = probabilities.max(1), probabilities.argmax(1) == classes
    number = np.minimum((sure * count).astype(int), count - 1)
    return tuple(
        Bin(
            low=one / count,
            high=(one + 1) / count,
            rows=int((number == one).sum()),
            confidence=float(sure[number == one].mean()),
            right=float(right[number == one].mean()),
        )
        for one in sorted(set(number.tolist()))
    )
