"""CatBoost: 100 trees of depth 3; kept as CatBoost's own JSON."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from agnews_cli.learn.kinds.combiner import Fitted
from agnews_cli.learn.kinds.library import booster

_FILE = "catboost.json"
_OF_THE_TRAINING = ("model_guid", "train_finish_time")
"""What differs each time, though the model does not."""


def fit(features: NDArray, classes: NDArray, count: int, seed: int) -> Fitted:
    model = booster("catboost").CatBoostClassifier(
        iterations=100,
        depth=3,
        learning_rate=0.1,
        loss_function="MultiClass",
        thread_count=1,
        random_seed=seed,
        allow_writing_files=False,
        verbose=False,
    )
    model.fit(features, classes)
    with tempfile.TemporaryDirectory() as folder:  # it writes JSON to files alone
        path = Path(folder) / _FILE
        model.save_model(str(path), format="json")
        told = json.loads(path.read_text("utf-8"))
    for name in _OF_THE_TRAINING:
        told["model_info"].pop(name, None)
    content = json.dumps(told, separators=(",", ":")).encode()
    return Fitted("catboost", 0, count, files={_FILE: content})


def apply(fitted: Fitted, features: NDArray) -> NDArray[np.float64]:
    model = booster("catboost").CatBoostClassifier()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / _FILE
        path.write_bytes(fitted.files[_FILE])
        model.load_model(str(path), format="json")
    found = model.predict(features, prediction_type="Probability", thread_count=1)
    return np.asarray(found, dtype=np.float64)
