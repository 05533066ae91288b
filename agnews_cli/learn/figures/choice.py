"""Which candidate is delivered, and the sentence that says why.

The recipe's own model is the plan. Another one takes its place where it validates better on the
same rows: in accuracy by more than a standard error of the paired difference, or in log loss where
it is right as often (the one-standard-error rule, Breiman et al. 1984). Where a class is rare its
rows count more, as in training: else the model that never answers it would win.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agnews_cli.learn.figures import blend, paired

Probabilities = NDArray[np.floating]


@dataclass(frozen=True, slots=True)
class Judge:
    """Compares candidates on the rows that validate. weights: (classes,), or None for all alike."""

    classes: NDArray[np.int64]
    weights: NDArray[np.float64] | None
    rows: str
    """What the rows are called: `the same 200 validation rows`."""

    def accuracy(self, probabilities: Probabilities) -> float:
        """Share of rows that are right, rare classes counting as in training."""
        return float(self._mean(self._right(probabilities)))

    def gain(self, other: Probabilities, than: Probabilities) -> tuple[float, float]:
        """(mean, standard error) of how much more often `other` is right."""
        return self._paired(self._right(other) - self._right(than))

    def relief(self, other: Probabilities, than: Probabilities) -> tuple[float, float]:
        """(mean, standard error) of how much lower the loss of `other` is, each calibrated."""
        losses = [
            blend.row_losses(blend.calibrated(p, self.classes), self.classes) for p in (than, other)
        ]
        return self._paired(losses[0] - losses[1])

    def is_better(self, other: Probabilities, than: Probabilities) -> bool:
        gain, error = self.gain(other, than)
        if abs(gain) > error:
            return gain > 0
        relief, doubt = self.relief(other, than)
        return gain >= 0 and relief > doubt

    def best_average(self, by_name: Mapping[str, Probabilities]) -> dict[str, float]:
        """The shares of the likeliest average; one model alone where it is right more often by more
        than two standard errors.

        A model of few steps may be right everywhere and sure of nothing: its loss is high.
        """
        shares = blend.weights(by_name, self.classes, self.weights)
        mixed = blend.mix(by_name, shares)
        more_right = []
        for name, probabilities in by_name.items():
            gain, error = self.gain(probabilities, mixed)
            if gain > 2 * error:
                more_right.append(name)
        if more_right:
            return {max(more_right, key=lambda name: self.accuracy(by_name[name])): 1.0}
        return shares

    def p_value(self, one: Probabilities, two: Probabilities) -> float:
        """Two-sided, of the paired difference: McNemar's exact test; where weighed, normal."""
        if self.weights is not None:
            return paired.normal(*self.gain(one, two))
        return paired.mcnemar(self._right(one) - self._right(two))

    def _right(self, probabilities: Probabilities) -> NDArray[np.float64]:
        return np.asarray(probabilities.argmax(1) == self.classes, dtype=np.float64)

    def _row_weights(self) -> NDArray[np.float64]:
        if self.weights is None:
            return np.ones(len(self.classes))
        each = self.weights[self.classes]
        return np.asarray(each / each.mean())

    def _mean(self, values: NDArray[np.float64]) -> float:
        return float((self._row_weights() * values).mean())

    def _paired(self, apart: NDArray[np.float64]) -> tuple[float, float]:
        return paired.mean_and_error(self._row_weights() * apart)

    # ---- in words --------------------------------------------------------------------------------

    @property
    def _measure(self) -> str:
        return "" if self.weights is None else ", rare classes counting more"

    def why_one(self, chosen: str, plan: str, by_name: Mapping[str, Probabilities]) -> str:
        """Why `chosen` is delivered alone; `plan` is what the recipe would deliver."""
        others = {name: p for name, p in by_name.items() if name != chosen}
        if not others:
            return f"{chosen} is delivered, the one model of this run"
        rival = max(others, key=lambda name: self.accuracy(others[name]))
        mine, theirs = (self.accuracy(by_name[name]) for name in (chosen, rival))
        figures = f"{mine:.1%} against {theirs:.1%} of {rival} on {self.rows}{self._measure}"
        p = self.p_value(by_name[chosen], by_name[rival])
        if chosen == plan and not mine - theirs > self.gain(by_name[chosen], by_name[rival])[1]:
            equal = f"equal within noise (paired p = {p:.2g}), so the preset's model is taken"
            return f"{chosen} is delivered: {figures}, {equal}"
        if mine <= theirs:
            return f"{chosen} is delivered: {figures}, and it is surer where it is right"
        return f"{chosen} is delivered: {figures} (paired p = {p:.2g})"

    def why_several(self, shares: Mapping[str, float], by_name: Mapping[str, Probabilities]) -> str:
        """Why an average is delivered."""
        mixed = self.accuracy(blend.mix(by_name, shares))
        parts = " and ".join(f"{share:.0%} {name}" for name, share in shares.items())
        alone = ", ".join(f"{name} {self.accuracy(p):.1%}" for name, p in by_name.items())
        return (
            f"an average is delivered, {parts}: {mixed:.1%} on {self.rows}{self._measure}; "
            f"alone {alone}"
        )


def never_answered(
    probabilities: Probabilities, classes: NDArray[np.int64], labels: Sequence[str]
) -> list[tuple[str, int]]:
    """(class, its rows) of each class that has rows and is never the answer."""
    rows = np.bincount(classes, minlength=len(labels))
    answers = np.bincount(probabilities.argmax(1), minlength=len(labels))
    return [(labels[int(n)], int(rows[n])) for n in np.flatnonzero((rows > 0) & (answers == 0))]
