"""LightGBM: 60 trees a class, of at most 4 leaves; kept as LightGBM's own text."""

from __future__ import annotations

from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from agnews_cli.errors import ExtraMissing
from agnews_cli.learn.kinds.combiner import Fitted

_FILE = "lightgbm.txt"


def fit(features: NDArray, classes: NDArray, count: int, seed: int) -> Fitted:
    model = _library().LGBMClassifier(
        n_estimators=60,
        num_leaves=4,
        learning_rate=0.1,
        reg_lambda=5,
        min_child_samples=20,
        deterministic=True,
        force_row_wise=True,
        n_jobs=1,
        random_state=seed,
        verbose=-1,
    )
    model.fit(features, classes)
    return Fitted("lightgbm", 0, count, files={_FILE: model.booster_.model_to_string().encode()})


def apply(fitted: Fitted, features: NDArray) -> NDArray[np.float64]:
    booster = _library().Booster(model_str=fitted.files[_FILE].decode())
    found = np.asarray(booster.predict(features, num_threads=1), dtype=np.float64)
    if found.ndim == 1:
        found = np.stack([1 - found, found], axis=1)
    return found / found.sum(1, keepdims=True)


def _library() -> ModuleType:
    try:
        import lightgbm
    except ImportError:
        raise ExtraMissing(extra="boosters", module="lightgbm") from None
    return lightgbm
