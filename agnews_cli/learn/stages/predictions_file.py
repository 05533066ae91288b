"""What was said of the test rows as a table, for people and for other tools."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


def write_predictions(
    folder: Path,
    classes: Sequence[int],
    labels: Sequence[str],
    mixed: NDArray[np.floating],
    each: Mapping[str, NDArray[np.floating]],
) -> None:
    """`predictions.csv` for what is delivered, and one file for each member of an average."""
    files = {"predictions.csv": mixed}
    if len(each) > 1:
        files |= {f"predictions-{name}.csv": part for name, part in each.items()}
    for name, probabilities in files.items():
        with (folder / name).open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["row", "label", "predicted", *(f"p_{label}" for label in labels)])
            for row, scores in enumerate(probabilities):
                true, guess = labels[classes[row]], labels[int(scores.argmax())]
                writer.writerow([row, true, guess, *(f"{p:.7f}" for p in scores)])
