"""Chooses among combiners by cross-validation inside the rows: ten of them are not ten looks.

Each is learnt on all parts but one and asked about that one, by turns. One takes the place of the
plain average where it is right more often by more than a standard error of the paired difference,
or as often and surer by more than one, as between the candidates of a job (`figures.choice`); the
more are tried, the more errors it takes (Bonferroni), for the best of ten noises lies above one. So
AutoGluon's DyStack does with stacking, which it gives up where it does not hold on held-out rows.
What is taken is fitted as its own kind: nothing is ever of kind `auto` but the asking.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agnews_cli.core.run.combiner import Auto, Average, Blend, Combiner, Greedy, Weighted
from agnews_cli.errors import ExtraMissing, TooFewToCombine
from agnews_cli.learn import combiners
from agnews_cli.learn.combine.choice import Answer, out_of_fold
from agnews_cli.learn.figures import blend, paired
from agnews_cli.learn.figures.choice import Judge
from agnews_cli.learn.kinds.combiner import Classes, Fitted, Said
from agnews_cli.learn.rows.parts import folds_of

EXAMPLES = (Auto(among=(Weighted(), Greedy(), Blend(dynamic=True)), folds=3),)
LEARNS = False
_LEAST_ROWS = 50
_LEAST_TEMPERATURE = 0.02
_AVERAGE = Average()


@dataclass(frozen=True, slots=True)
class _Tried:
    """A combiner, and what it says of each row when it has not seen it."""

    how: Combiner
    said: NDArray[np.float64]
    losses: NDArray[np.float64]
    """Of each row, calibrated, in nats."""

    @property
    def loss(self) -> float:
        return float(self.losses.mean())

    @property
    def name(self) -> str:
        fields = self.how.model_dump(exclude_defaults=True, exclude={"kind"})
        return " ".join([self.how.kind, *(f"{name}={value}" for name, value in fields.items())])


def fit(how: Auto, said: Said, classes: Classes, seed: int) -> Fitted:
    average = combiners.fit(_AVERAGE, said, classes, seed)
    if len(said) == 1:
        return replace(average, why="there is one member, and nothing to choose")
    if len(classes) < _LEAST_ROWS:
        few = f"{len(classes):,} rows are too few to choose by, at least {_LEAST_ROWS} are needed"
        return replace(average, why=f"the plain average is taken: {few}")
    fold = folds_of(classes, how.folds, seed=seed)
    tried, notes = _try_all(how, said, classes, fold, seed)
    plain, others = tried[0], tried[1:]
    rows = f"{len(classes):,} rows, each asked of what was learnt without it"
    judge = Judge(np.asarray(classes, dtype=np.int64), None, rows)
    chance = (1 - NormalDist().cdf(1)) / max(1, 2 * len(others))  # each is looked at in two ways
    better = [one for one in others if _is_better(judge, one, plain, chance)]
    chosen = min(better, key=lambda one: one.loss, default=plain)
    fitted = combiners.fit(chosen.how, said, classes, seed)
    why = "; ".join(
        [_why(judge, plain, others, chosen, chance), *notes, *filter(None, [fitted.why])]
    )
    return replace(fitted, why=why, facts={**fitted.facts, "tried": _table(judge, tried)})


def _try_all(
    how: Auto, said: Said, classes: Classes, fold: NDArray[np.int64], seed: int
) -> tuple[list[_Tried], list[str]]:
    """(the average first, then all that can be learnt here; what could not be)."""
    tried, notes = [], []
    for one in dict.fromkeys((_AVERAGE, *how.among)):

        def learn(said: Said, classes: Classes, one: Combiner = one) -> Answer:
            fitted = combiners.fit(one, said, classes, seed)
            return lambda asked: combiners.apply(fitted, asked)

        try:
            found = out_of_fold(learn, said, classes, fold)
        except (ExtraMissing, TooFewToCombine) as error:
            notes.append(f"{one.kind} was not tried: {error.message}")
            continue
        # Sharpened too: an average is less sure than it may be, and knows no less for it.
        calibrated = blend.calibrated(found, classes, least=_LEAST_TEMPERATURE)
        losses = blend.row_losses(calibrated, classes)
        tried.append(_Tried(one, found, losses))
    return tried, notes


def _is_better(judge: Judge, other: _Tried, than: _Tried, chance: float) -> bool:
    """Beyond what happens so often by chance."""
    errors = NormalDist().inv_cdf(1 - chance)
    gain, error = judge.gain(other.said, than.said)
    if abs(gain) > errors * error and judge.p_value(other.said, than.said) < 2 * chance:
        return gain > 0
    relief, doubt = paired.mean_and_error(than.losses - other.losses)
    return gain >= 0 and relief > errors * doubt


def _why(judge: Judge, plain: _Tried, others: list[_Tried], chosen: _Tried, chance: float) -> str:
    if not others:
        return "the plain average is taken: nothing else was tried"
    if chosen is not plain:
        gain, _ = judge.gain(chosen.said, plain.said)
        p = judge.p_value(chosen.said, plain.said)
        return (
            f"{chosen.name} is taken: {judge.accuracy(chosen.said):.2%} against "
            f"{judge.accuracy(plain.said):.2%} of the plain average on {judge.rows} "
            f"({100 * gain:+.2f} points, paired p = {p:.2g}; loss {chosen.loss:.4f} against "
            f"{plain.loss:.4f}), the best of {len(others)} others"
        )
    rival = max(others, key=lambda one: (judge.accuracy(one.said), -one.loss))
    gain, error = judge.gain(rival.said, plain.said)
    errors = NormalDist().inv_cdf(1 - chance)
    return (
        f"the plain average is taken: none of {len(others)} others is better by more than "
        f"{errors:.1f} standard errors of the paired difference on {judge.rows}; the best, "
        f"{rival.name}, by {100 * gain:+.2f} points, with an error of {100 * error:.2f}"
    )


def _table(judge: Judge, tried: list[_Tried]) -> list[dict[str, Any]]:
    table = []
    for one in tried:
        gain, error = judge.gain(one.said, tried[0].said)
        accuracy = judge.accuracy(one.said)
        figures = {"accuracy": accuracy, "loss": one.loss, "gain": gain, "error": error}
        table.append({"how": one.name, **figures})
    return table
