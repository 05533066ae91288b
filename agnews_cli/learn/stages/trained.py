"""A model that a stage has trained and written."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Probabilities = NDArray[np.floating]
"""(rows, classes)."""


@dataclass(frozen=True, slots=True)
class CycleEnd:
    """A snapshot whose model is written; `name` is the run's part that it is."""

    name: str
    validation: Probabilities


@dataclass(frozen=True, slots=True)
class Trained:
    """A model that is written: what it says of the held rows, and what asking a row took."""

    name: str
    folder: Path
    validation: Probabilities
    row_s: float
    snapshots: tuple[CycleEnd, ...] = ()
    temperature: float | None = None
    """Built into its head; None: nothing was."""
