"""XGBoost: 60 trees a class, of depth 2; kept as XGBoost's own JSON."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from agnews_cli.learn.kinds.combiner import Fitted
from agnews_cli.learn.kinds.library import booster, without

_FILE = "xgboost.json"


def fit(features: NDArray, classes: NDArray, count: int, seed: int) -> Fitted:
    with without("sklearn", "pandas"):
        xgboost = booster("xgboost")
    settings: dict[str, Any] = {
        "max_depth": 2,
        "learning_rate": 0.1,
        "min_child_weight": 5,
        "reg_lambda": 5,
        "tree_method": "hist",
        "nthread": 1,
        "seed": seed,
    }
    if count == 2:
        settings |= {"objective": "binary:logistic"}
    else:
        settings |= {"objective": "multi:softprob", "num_class": count}
    rows = xgboost.DMatrix(features, label=classes, nthread=1)
    trained = xgboost.train(settings, rows, num_boost_round=60)
    return Fitted("xgboost", 0, count, files={_FILE: bytes(trained.save_raw("json"))})


def apply(fitted: Fitted, features: NDArray) -> NDArray[np.float64]:
    trained = booster("xgboost").Booster({"nthread": 1})
    trained.load_model(bytearray(fitted.files[_FILE]))
    found = np.asarray(trained.inplace_predict(features), dtype=np.float64)
    if found.ndim == 1:
        found = np.stack([1 - found, found], axis=1)
    return found / found.sum(1, keepdims=True)
