"""Real wrong labels: how many of the likeliest suspects are some, beside cleanlab.

The training rows of AG News with the labels that human annotators gave them (NoisyAG-News), who
disagree with the official ones on a fifth of the rows; a disagreement is counted as a wrong label.
Out-of-fold probabilities of the linear model are asked once, and judged by ours and by cleanlab.
Then the linear model is trained on all rows and on those without suspects, and asked about the
official test rows, in pairs.

    python benchmarks/label_errors.py --data DIR
"""

from __future__ import annotations

import argparse
import csv
import time
from pathlib import Path

import numpy as np
from cleanlab.filter import find_label_issues
from cleanlab.rank import get_label_quality_scores
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score

from agnews_cli.core.run.dataset import Reading
from agnews_cli.learn.checks import suspects
from agnews_cli.learn.figures import paired
from agnews_cli.learn.models.linear import Linear
from agnews_cli.learn.rows.parts import split_off
from agnews_cli.store.data import datasets

TOP = 1_000


def line(name: str, score: NDArray[np.floating], is_suspect: NDArray[np.bool_]) -> str:
    """score: high where the label is likely wrong."""
    top = np.argsort(-score, kind="stable")[:TOP]
    told = f"{int(is_suspect.sum()):,} suspects, {wrong[is_suspect].mean():.1%} of them wrong"
    average = average_precision_score(wrong, score)
    return f"| {name} | {average:.3f} | {wrong[top].mean():.1%} | {told} |"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    given = parser.parse_args()
    found = datasets.find(str(given.data), Reading(test_share=0.0))
    train = datasets.read(found, "train")
    with (given.data / "train_human_labels.csv").open(newline="") as file:
        rows = sorted(csv.DictReader(file), key=lambda row: int(row["row"]))
    human = np.array([int(row["human_label"]) - 1 for row in rows])
    official = np.asarray(train.classes)
    assert [int(row["label"]) - 1 for row in rows] == official.tolist()
    wrong = human != official
    began_s = time.process_time()
    said = suspects.out_of_fold(list(train.texts), human, count=4)
    print(
        f"{len(human):,} rows, {wrong.mean():.1%} wrong; {time.process_time() - began_s:.0f} s CPU"
    )
    counted, margin = suspects.confident(said, human), suspects.margins(said, human)
    print("| | average precision | wrong of the top 1,000 | |")
    print(line("agnews", -margin, (counted >= 0) & (counted != human)))
    for method in ("normalized_margin", "self_confidence"):
        quality = get_label_quality_scores(human, said.astype(float), method=method)
        issues = find_label_issues(human, said.astype(float), n_jobs=1)
        print(line(f"cleanlab, {method}", -quality, np.asarray(issues)))
    test = datasets.read(found, "test")
    asked, true = list(test.texts), np.asarray(test.classes)

    def right(rows: NDArray[np.integer], labels: NDArray[np.integer]) -> NDArray[np.float64]:
        """(test rows,); trained on `rows` but for a tenth of them, which calibrates."""
        inside, held = split_off(labels[rows], share=0.1, seed=0)
        parts = [
            ([train.texts[int(at)] for at in rows[p]], labels[rows[p]]) for p in (inside, held)
        ]
        model = Linear.fit(*parts[0], *parts[1], count=4, seed=0)
        return (model.predict(asked).argmax(1) == true).astype(float)

    is_suspect = (counted >= 0) & (counted != human)
    every = np.arange(len(human))
    relabelled = np.where(is_suspect, counted, human)
    usual = right(every, human)
    ways = {
        "without the suspects": right(every[~is_suspect], human),
        "suspects relabelled as what they look like": right(every, relabelled),
        "without as many rows drawn at random": right(
            np.sort(np.random.default_rng(0).permutation(every)[: int((~is_suspect).sum())]), human
        ),
        "the official labels": right(every, official),
    }
    print(f"all rows: {usual.mean():.2%} of {len(true):,} official test rows")
    for name, found_right in ways.items():
        apart = found_right - usual
        low, high = paired.bootstrap(apart, seed=0)
        gain = f"{apart.mean():+.2%} | {low:+.2%} to {high:+.2%}"
        print(f"| {name} | {found_right.mean():.2%} | {gain} |")
