"""XGBoost: 60 trees a class, of depth 2; kept as XGBoost's own JSON."""

from __future__ import annotations

from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from agnews_cli.errors import ExtraMissing
from agnews_cli.learn.kinds.combiner import Fitted

_FILE = "xgboost.json"


def fit(features: NDArray, classes: NDArray, count: int, seed: int) -> Fitted:
    model = _library().XGBClassifier(
        n_estimators=60,
        max_depth=2,
        learning_rate=0.1,
        min_child_weight=5,
        reg_lambda=5,
        tree_method="hist",
        n_jobs=1,
        random_state=seed,
    )
    model.fit(features, classes)
    return Fitted("xgboost", 0, count, files={_FILE: bytes(model.get_booster().save_raw("json"))})


def apply(fitted: Fitted, features: NDArray) -> NDArray[np.float64]:
    booster = _library().Booster({"nthread": 1})
    booster.load_model(bytearray(fitted.files[_FILE]))
    found = np.asarray(booster.inplace_predict(features), dtype=np.float64)
    if found.ndim == 1:
        found = np.stack([1 - found, found], axis=1)
    return found / found.sum(1, keepdims=True)


def _library() -> ModuleType:
    try:
        import xgboost
    except ImportError:
        raise ExtraMissing(extra="boosters", module="xgboost") from None
    return xgboost
