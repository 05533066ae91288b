"""Losses, one module each (`learn.kinds.loss`), named by the preset's `training.loss`."""

from __future__ import annotations

import sys

import numpy as np
from numpy.typing import NDArray

from agnews_cli.core.run.preset import Training
from agnews_cli.learn.kinds.loss import Loss
from agnews_cli.learn.kinds.registry import modules


def begin(training: Training, classes: NDArray[np.int64], count: int) -> Loss:
    """The preset's loss. `classes`: (rows,) of the training rows, out of `count`."""
    found: Loss = modules(sys.modules[__name__])[training.loss].begin(training, classes, count)
    return found
