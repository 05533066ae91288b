"""How often the 95% interval of macro-F1 holds the true value: simulated classifiers.

`python benchmarks/macro_f1.py [--trials 400]` prints one line for each number of classes, rows of a
class and accuracy: coverage, mean width. Rows are drawn with the class sizes given; each class has
a recall of its own around the accuracy, wrong rows go to any class or to one neighbour.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from itertools import product

import numpy as np

from agnews_cli.learn.figures.macro_f1 import interval, macro_f1

CLASSES = (2, 4, 20, 77, 150)
ROWS = (1, 2, 5, 15, 50)
ACCURACIES = (0.7, 0.85, 0.95, 0.99, 1.0)


def sizes_of(classes: int, rows: int, shape: str) -> np.ndarray:
    """Rows of each class; `skewed`: most have few, some have ten times as many."""
    if shape == "even":
        return np.full(classes, rows)
    return np.maximum(1, (rows * 3 * np.arange(1, classes + 1) ** -0.8).round().astype(int))


def truth(
    sizes: np.ndarray, accuracy: float, spread: float, confused: str, rng: np.random.Generator
) -> np.ndarray:
    """(true, predicted): the probability of each prediction for a row of each class."""
    count = len(sizes)
    recall = np.full(count, accuracy)
    if spread and accuracy < 1:
        recall = rng.beta(accuracy / spread, (1 - accuracy) / spread, count)
    if confused == "neighbour":
        wrong = np.roll(np.eye(count), 1, axis=1)
    else:
        wrong = (1 - np.eye(count)) / (count - 1)
    return np.diag(recall) + wrong * (1 - recall)[:, None]


def coverage(
    sizes: np.ndarray, accuracy: float, spread: float, confused: str, *, trials: int
) -> tuple[float, float]:
    """(share of the intervals that hold the true macro-F1, their mean width)."""
    rng = np.random.default_rng([len(sizes), int(sizes.sum()), int(accuracy * 100)])
    held, width = 0, 0.0
    for _ in range(trials):
        chances = truth(sizes, accuracy, spread, confused, rng)
        matrix = np.stack([rng.multinomial(n, p) for n, p in zip(sizes, chances, strict=True)])
        low, high = interval(matrix)
        true = macro_f1(chances * sizes[:, None])
        held += low - 1e-9 <= true <= high + 1e-9
        width += high - low
    return held / trials, width / trials


def table(trials: int) -> Iterator[tuple[str, float, float]]:
    """(what was simulated, coverage, mean width)."""
    for count, rows, accuracy in product(CLASSES, ROWS, ACCURACIES):
        for shape, spread, confused in (
            ("even", 0.0, "any"),
            ("even", 0.1, "neighbour"),
            ("skewed", 0.05, "any"),
        ):
            found = coverage(
                sizes_of(count, rows, shape), accuracy, spread, confused, trials=trials
            )
            yield (
                f"{count} classes x {rows} ({shape}, {confused}), {accuracy:.0%}",
                *found,
            )


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--trials", type=int, default=400)
    least = 1.0
    for name, held, width in table(parser.parse_args().trials):
        print(f"{name:55} covers {held:6.1%}  width {width:.3f}", flush=True)
        least = min(least, held)
    print(f"least coverage: {least:.1%}")
