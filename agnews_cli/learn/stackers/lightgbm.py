"""LightGBM: 60 trees a class, of at most 4 leaves; kept as LightGBM's own text."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from agnews_cli.learn.kinds.combiner import Fitted
from agnews_cli.learn.kinds.library import booster, without

_FILE = "lightgbm.txt"


def fit(features: NDArray, classes: NDArray, count: int, seed: int) -> Fitted:
    with without("sklearn", "pandas"):
        lightgbm = booster("lightgbm")
    settings: dict[str, Any] = {
        "num_leaves": 4,
        "learning_rate": 0.1,
        "lambda_l2": 5,
        "min_data_in_leaf": 20,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": 1,
        "seed": seed,
        "verbosity": -1,
    }
    if count == 2:
        settings |= {"objective": "binary"}
    else:
        settings |= {"objective": "multiclass", "num_class": count}
    rows = lightgbm.Dataset(features, label=classes, params=settings)
    trained = lightgbm.train(settings, rows, num_boost_round=60)
    return Fitted("lightgbm", 0, count, files={_FILE: trained.model_to_string().encode()})


def apply(fitted: Fitted, features: NDArray) -> NDArray[np.float64]:
    trained = booster("lightgbm").Booster(model_str=fitted.files[_FILE].decode())
    found = np.asarray(trained.predict(features, num_threads=1), dtype=np.float64)
    if found.ndim == 1:
        found = np.stack([1 - found, found], axis=1)
    return found / found.sum(1, keepdims=True)
