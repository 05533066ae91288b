"""Combiners, one module each (`learn.kinds.combiner`), named by the `kind` of their settings."""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from agnews_cli.core.run.combiner import Combiner
from agnews_cli.errors import AgnewsError, ModelDamaged, TooFewToCombine
from agnews_cli.learn.figures.blend import temperature
from agnews_cli.learn.kinds.combiner import Classes, Fitted, Said, read, weighted_mean

_LEAST_ROWS = 10
_LEAST_CALIBRATING = 100
_NEARLY = 1e-3


def fit(how: Combiner, said: Said, classes: Classes, seed: int = 0) -> Fitted:
    """What `how` learns of rows that no member has seen; said: (members, rows, classes).

    Raises TooFewToCombine, or ExtraMissing for a booster that is not installed.
    """
    if len(said) == 0 or said.shape[1] != len(classes):
        raise ValueError(f"members' probabilities {said.shape} of {len(classes)} rows")
    kind = _of(how.kind)
    if kind.LEARNS and len(classes) < _LEAST_ROWS:
        raise TooFewToCombine(kind=how.kind, rows=len(classes), least=_LEAST_ROWS)
    # Products so small gain nothing from threads, which on busy cores wait for each other; and sums
    # in another order would be other bits.
    with threadpool_limits(limits=1):
        fitted: Fitted = kind.fit(how, said, classes, seed)
    return fitted


def apply(fitted: Fitted, said: Said) -> NDArray[np.float64]:
    """Class probabilities, (rows, classes); said: (members, rows, classes), in the fit's order."""
    if said.ndim != 3 or (len(said), said.shape[2]) != (fitted.members, fitted.classes):
        wanted = f"{fitted.members} members and {fitted.classes} classes"
        raise ValueError(f"probabilities {said.shape} are not of {wanted}")
    if said.shape[1] == 0:
        return np.empty((0, fitted.classes))
    found: NDArray[np.float64] = _of(fitted.kind).apply(fitted, said)
    return found if fitted.temperature == 1.0 else softened(found, fitted.temperature)


def softened(probabilities: NDArray[np.float64], t: float) -> NDArray[np.float64]:
    """(rows, classes): p^(1/t) of each, adding up to 1 again; what is likeliest stays."""
    powers = (probabilities / probabilities.max(axis=1, keepdims=True)) ** (1 / t)
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def calibrated(fitted: Fitted, said: Said, classes: Classes) -> Fitted:
    """With the temperature under which these rows' classes are likeliest (Guo et al. 2017).

    A mean of models that are calibrated each is too unsure of itself (Rahaman and Thiery 2021,
    arXiv 2007.08792). Fewer than 100 rows say too little of it.
    """
    if len(classes) < _LEAST_CALIBRATING:
        return fitted
    scores = np.log(apply(fitted, said) + 1e-12)
    return replace(fitted, temperature=temperature(scores, classes))


def open_fitted(folder: Path, there: tuple[int, int] | None = None) -> Fitted:
    """What `Fitted.write` left there, asked once. `there`: how many members and classes it joins.

    Raises ModelDamaged where it joins others or does not answer, or ExtraMissing for a booster that
    is not installed.
    """
    fitted = read(folder)
    joined = fitted.members, fitted.classes
    if there is not None and joined != there:  # before it is asked: numbers cost memory
        reason = f"joins {joined[0]} members of {joined[1]} classes, and there are {there}"
        raise ModelDamaged(path=folder, reason=reason)
    if fitted.kind not in {found.name for found in pkgutil.iter_modules(__path__)}:
        raise ModelDamaged(path=folder, reason=f"the combiner {fitted.kind!r} is not known here")
    try:
        equal = np.full((fitted.members, 1, fitted.classes), 1 / fitted.classes)
        with np.errstate(all="ignore"):  # what is no number is asked for below
            found = apply(fitted, equal)
        if found.shape != (1, fitted.classes) or not np.isfinite(found).all():
            raise ValueError("it answers with what is no number of each class")
        if found.min() < -_NEARLY or abs(found.sum() - 1) > _NEARLY:
            raise ValueError("what it answers with are no probabilities")
    except AgnewsError:
        raise
    except Exception as error:  # whatever a library says of a model that is none
        raise ModelDamaged(path=folder, reason=f"{type(error).__name__}: {error}") from error
    return fitted


def is_mean(fitted: Fitted) -> bool:
    """Whether its answer is the mean of its members by their weights."""
    return fitted.weights is not None and _of(fitted.kind).apply is weighted_mean


def _of(kind: str) -> ModuleType:
    """Its module alone, so that no other's takes time."""
    return importlib.import_module(f"{__name__}.{kind}")
