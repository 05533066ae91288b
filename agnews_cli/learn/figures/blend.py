"""Averages of candidates' probabilities, chosen on validation rows, and what losses are made of.

A few hundred rows tell little about shares, and equal ones are hard to beat (Stock and Watson
2004): so the shares are the likeliest under a prior that draws them together.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from agnews_cli.learn.figures.simplex import likeliest_drawn_together

_PRIOR_ROWS = 3.0
"""Before any row each candidate counts as if it alone had explained so many. Of 0 (none) to 50,
tried on rows of AG News beside the test rows, 3 to 8 were best (benchmarks/RESULTS.md)."""
_LEAST_SHARE = 0.05
"""Of what the rows themselves ascribe to a candidate: less is not worth asking a model for."""


def softmax(scores: NDArray[np.floating]) -> NDArray[np.float64]:
    """Row-wise; scores: (rows, classes)."""
    shifted = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=1, keepdims=True))


def row_losses(
    probabilities: NDArray[np.floating], classes: NDArray[np.integer]
) -> NDArray[np.float64]:
    """Negative log-likelihood of each row, in nats, (rows,)."""
    return surprise(right(probabilities, classes))


def right(probabilities: NDArray[np.floating], classes: NDArray[np.integer]) -> NDArray[np.float64]:
    """What is said of each row's true class; (.., rows, classes) -> (.., rows)."""
    return np.asarray(probabilities[..., np.arange(len(classes)), classes], dtype=np.float64)


def surprise(said: NDArray[np.float64]) -> NDArray[np.float64]:
    """Nats, of what was said of what is true."""
    return np.asarray(-np.log(said + 1e-12))


def log_loss(probabilities: NDArray[np.floating], classes: NDArray[np.integer]) -> float:
    """Mean negative log-likelihood, in nats."""
    return float(row_losses(probabilities, classes).mean())


def temperature(
    scores: NDArray[np.floating], classes: NDArray[np.integer], *, least: float = 0.02
) -> float:
    """The T, from `least` to 50, that makes softmax(scores / T) likeliest (Guo et al. 2017).

    Each of n rows counts as its class to (n + 1) / (n + 2) alone (Platt 1999, section 2.2; the rest
    is the other classes', alike): a few rows that are all right do not make a model sure of all.
    """
    from scipy.optimize import minimize_scalar  # its import takes longer than most averages

    rows, count = scores.shape
    counts = np.full(scores.shape, 1 / ((rows + 2) * max(count - 1, 1)))
    counts[np.arange(rows), classes] = (rows + 1) / (rows + 2)

    def loss(log_t: float) -> float:
        return float((counts * surprise(softmax(scores / np.exp(log_t)))).sum(axis=1).mean())

    bounds = (np.log(least), np.log(50.0))
    return float(np.exp(minimize_scalar(loss, bounds=bounds, method="bounded").x))


def offsets(
    scores: NDArray[np.floating], classes: NDArray[np.integer], by_class: NDArray[np.float64]
) -> NDArray[np.float64]:
    """What to add to the scores of each class, (classes,), so that rare ones are answered too.

    The likeliest where a row counts as often as its class says, drawn towards nothing: a handful of
    rows shall not decide alone.
    """
    from scipy.optimize import minimize

    counts = by_class[classes] / by_class[classes].sum()
    spread = float((scores - scores.mean(axis=1, keepdims=True)).std()) or 1.0

    def loss(shift: NDArray[np.float64]) -> float:
        likely = row_losses(softmax((scores / spread) + shift), classes)
        return float(counts @ likely + 0.5 * (shift @ shift) / len(classes))

    return np.asarray(minimize(loss, np.zeros(scores.shape[1]), method="L-BFGS-B").x * spread)


def calibrated(
    probabilities: NDArray[np.floating], classes: NDArray[np.integer], *, least: float = 1.0
) -> NDArray[np.float64]:
    """The probabilities without the overconfidence that one temperature (from `least`) takes away.

    Fine-tuned models grow too sure of themselves while they still grow more accurate (Guo et al.
    2017); their plain log loss would choose an early, worse one.
    """
    scores = np.log(probabilities.astype(np.float64) + 1e-12)
    return softmax(scores / temperature(scores, classes, least=least))


def weights(
    candidates: Mapping[str, NDArray[np.floating]],
    classes: NDArray[np.integer],
    by_class: NDArray[np.float64] | None = None,
) -> dict[str, float]:
    """Each candidate's share in the average: the likeliest under a prior that draws them together.

    One to which the rows ascribe next to nothing has none. `by_class`: how much a row of each class
    counts.
    """
    names = list(candidates)
    said = np.stack([right(candidates[name], classes) for name in names])
    counts = np.ones(len(classes)) if by_class is None else by_class[classes]
    shares, rows = likeliest_drawn_together(said, counts / counts.mean(), _PRIOR_ROWS)
    shares = np.where(rows < min(_LEAST_SHARE * rows.sum(), rows.max()), 0.0, shares)
    return {n: float(s) for n, s in zip(names, shares / shares.sum(), strict=True) if s}


def mix(
    candidates: Mapping[str, NDArray[np.floating]], shares: Mapping[str, float]
) -> NDArray[np.float64]:
    """The weighted average of probabilities."""
    return np.sum([share * candidates[name] for name, share in shares.items()], axis=0)
