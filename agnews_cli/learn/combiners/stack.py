"""A model over what members say (stacked generalisation, Wolpert 1992): `learn.stackers` has them.

It must learn from rows that no member has seen. It reads each member's log probabilities, less
their mean of the row, which is what softmax reads. Classes that have no row here cannot be learnt:
they keep the plain average's probability, and the model shares out the rest.
"""

from __future__ import annotations

import importlib
from dataclasses import replace
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from agnews_cli.core.run.combiner import By, Stack
from agnews_cli.errors import TooFewToCombine
from agnews_cli.learn.kinds.combiner import Classes, Fitted, Said, mean

EXAMPLES = (
    Stack(),
    Stack(by="xgboost"),
    Stack(by="lightgbm"),
    Stack(by="catboost"),
    Stack(by="neural"),
)
LEARNS = True
_LEAST = 1e-6
"""Of a probability: else one sure mistake outweighs everything that is learnt."""


def fit(how: Stack, said: Said, classes: Classes, seed: int) -> Fitted:
    there, numbers = np.unique(classes, return_inverse=True)
    if len(there) < 2:
        raise TooFewToCombine(
            kind="stack", rows=len(classes), least="two classes' rows, at least 10"
        )
    learnt = _stacker(how.by).fit(features(said), numbers, len(there), seed)
    facts = {"by": how.by, "there": [int(n) for n in there], **learnt.facts}
    return replace(
        learnt,
        kind="stack",
        members=len(said),
        classes=said.shape[2],
        facts=facts,
        # As they are read again: sums in another order would be other bits.
        arrays={name: np.ascontiguousarray(array) for name, array in learnt.arrays.items()},
    )


def apply(fitted: Fitted, said: Said) -> NDArray[np.float64]:
    there = fitted.facts["there"]
    found = mean(said)
    absent = found.sum(1) - found[:, there].sum(1)
    found[:, there] = _stacker(fitted.facts["by"]).apply(fitted, features(said))
    found[:, there] *= (1 - absent)[:, None]
    return found


def features(said: Said) -> NDArray[np.float64]:
    """(rows, members * classes)."""
    logs = np.log(np.maximum(said, _LEAST)).astype(np.float64)
    logs -= logs.mean(2, keepdims=True)
    return np.ascontiguousarray(logs.transpose(1, 0, 2).reshape(said.shape[1], -1))


def _stacker(by: By) -> ModuleType:
    return importlib.import_module(f"agnews_cli.learn.stackers.{by}")
