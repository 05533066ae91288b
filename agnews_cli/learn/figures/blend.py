"""Averages of candidates' probabilities, chosen on validation rows.

With few validation rows many weights overfit, so the search is small: for two candidates the
shares 0, 0.1 .. 1, for more a greedy addition (Caruana et al. 2004) with 20 picks.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize, minimize_scalar

_PICKS = 20


def softmax(scores: NDArray[np.floating]) -> NDArray[np.float64]:
    """Row-wise; scores: (rows, classes)."""
    shifted = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=1, keepdims=True))


def row_losses(
    probabilities: NDArray[np.floating], classes: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Negative log-likelihood of each row, in nats, (rows,)."""
    right = probabilities[np.arange(len(classes)), classes].astype(np.float64)
    return np.asarray(-np.log(right + 1e-12))


def log_loss(probabilities: NDArray[np.floating], classes: NDArray[np.int64]) -> float:
    """Mean negative log-likelihood, in nats."""
    return float(row_losses(probabilities, classes).mean())


def temperature(
    scores: NDArray[np.floating], classes: NDArray[np.int64], *, least: float = 0.02
) -> float:
    """The T, from `least` to 50, that makes softmax(scores / T) likeliest (Guo et al. 2017)."""

    def loss(log_t: float) -> float:
        return log_loss(softmax(scores / np.exp(log_t)), classes)

    bounds = (np.log(least), np.log(50.0))
    return float(np.exp(minimize_scalar(loss, bounds=bounds, method="bounded").x))


def offsets(
    scores: NDArray[np.floating], classes: NDArray[np.int64], by_class: NDArray[np.float64]
) -> NDArray[np.float64]:
    """What to add to the scores of each class, (classes,), so that rare ones are answered too.

    The likeliest where a row counts as often as its class says, drawn towards nothing: a handful of
    rows shall not decide alone.
    """
    counts = by_class[classes] / by_class[classes].sum()
    spread = float((scores - scores.mean(axis=1, keepdims=True)).std()) or 1.0

    def loss(shift: NDArray[np.float64]) -> float:
        likely = row_losses(softmax((scores / spread) + shift), classes)
        return float(counts @ likely + 0.5 * (shift @ shift) / len(classes))

    return np.asarray(minimize(loss, np.zeros(scores.shape[1]), method="L-BFGS-B").x * spread)


def calibrated(
    probabilities: NDArray[np.floating], classes: NDArray[np.int64]
) -> NDArray[np.float64]:
    """The probabilities without the overconfidence that one temperature takes away.

    Fine-tuned models grow too sure of themselves while they still grow more accurate (Guo et al.
    2017); their plain log loss would choose an early, worse one.
    """
    scores = np.log(probabilities.astype(np.float64) + 1e-12)
    return softmax(scores / temperature(scores, classes, least=1.0))


def weights(
    candidates: Mapping[str, NDArray[np.floating]],
    classes: NDArray[np.int64],
    by_class: NDArray[np.float64] | None = None,
) -> dict[str, float]:
    """Each candidate's share in the average that validates best; one alone where none helps.

    Greedy: the candidate whose addition lowers the validation loss most is added, with
    replacement; the best prefix counts. `by_class`: how much a row of each class counts.
    """
    counts = None if by_class is None else by_class[classes]
    names = list(candidates)
    total = np.zeros_like(next(iter(candidates.values())), dtype=np.float64)
    picks: list[str] = []
    best: tuple[float, list[str]] = (np.inf, [])
    for count in range(1, _PICKS + 1):
        each = {n: row_losses((total + candidates[n]) / count, classes) for n in names}
        losses = {n: float(np.average(found, weights=counts)) for n, found in each.items()}
        pick = min(losses, key=lambda n: losses[n])
        total += candidates[pick]
        picks.append(pick)
        if losses[pick] < best[0] - 1e-4:
            best = (losses[pick], list(picks))
    chosen = best[1]
    return {n: chosen.count(n) / len(chosen) for n in names if n in chosen}


def mix(
    candidates: Mapping[str, NDArray[np.floating]], shares: Mapping[str, float]
) -> NDArray[np.float64]:
    """The weighted average of probabilities."""
    return np.sum([share * candidates[name] for name, share in shares.items()], axis=0)
