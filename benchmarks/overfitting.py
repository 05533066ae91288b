"""How often the guards of training are right: small runs made to overfit, beside healthy ones.

Usage: python benchmarks/overfitting.py --data FOLDER [--runs 40] [--minutes 15] [--first 0]

A small transformer with a vocabulary of its own is trained from random weights on real rows (a
CSV of label, title, description, as AG News comes), through the worker's own stages. Made to
overfit: 150 to 250 rows in 40 passes, without an early stop. Healthy: 8,000 to 9,500 rows in one
pass, which teaches none by heart, or in one and a half. Sizes, rates, dropout and rows are drawn by
the run's number. A run is called overfit where a guard has a finding of that check in
`guards.json`. Both kinds take turns, so that `--minutes` ends with as many of each; what each run
showed is printed as one line of JSON.

The risk score of `agnews report` is taken of the three indicators that a training alone has (gaps
of loss and accuracy, epochs after the best); a pair is the two runs of one number.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import random
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ["ACCELERATE_USE_CPU"] = "true"

from agnews_cli.core.guards.risk import RiskNumber, risk
from agnews_cli.core.guards.training import OVERFITTING
from agnews_cli.core.guards.training_facts import GuardReport, TuningFacts
from agnews_cli.core.run.looks import best_of
from agnews_cli.core.run.preset import Preset

HELD_ROWS, WORDS = 200, 4000
TEXTS = re.compile(r"[a-z]+")


def rows_of(folder: Path) -> list[tuple[str, str]]:
    """(text, label), the text in plain words."""
    with (folder / "train.csv").open(encoding="utf-8", newline="") as file:
        found = csv.reader(file)
        return [(" ".join(TEXTS.findall(" ".join(rest).lower())[:24]), y) for y, *rest in found]


def write(path: Path, rows: list[tuple[str, str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("text", "label"), *rows])


def model(folder: Path, words: list[str], rng: random.Random, seed: int) -> Path:
    """A transformer of random weights."""
    import torch
    from transformers import BertConfig, BertModel, BertTokenizerFast

    vocabulary = {
        w: n for n, w in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words])
    }
    width = rng.choice([32, 48])
    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=len(vocabulary), hidden_size=width, num_hidden_layers=rng.choice([1, 2]),
        num_attention_heads=4, intermediate_size=2 * width, max_position_embeddings=40,
        hidden_dropout_prob=rng.choice([0.0, 0.1]),
    )  # fmt: skip
    BertModel(config).save_pretrained(folder)
    BertTokenizerFast(vocab=vocabulary, model_max_length=40).save_pretrained(folder)
    return folder


def trained(
    work: Path, rows: list[tuple[str, str]], number: int, *, is_overfit: bool
) -> tuple[Path, float]:
    """The folder of a run, through the worker's own stages; and its epochs."""
    from agnews_cli.core.run.deadline import Deadline
    from agnews_cli.core.run.job import TrainJob
    from agnews_cli.learn.door.events import EventLog, StopFlag
    from agnews_cli.learn.worker import _work
    from agnews_cli.store.data import datasets

    rng = random.Random(f"{number} {is_overfit}")
    count = rng.randint(150, 250) if is_overfit else rng.randint(8000, 9500)
    drawn = rng.sample(rows, count + HELD_ROWS)
    data = work / "data"
    data.mkdir()
    write(data / "train.csv", drawn[HELD_ROWS:])
    write(data / "validation.csv", drawn[:HELD_ROWS])
    counted = Counter(word for text, _ in drawn[HELD_ROWS:] for word in text.split())
    base = model(work / "model", [w for w, _ in counted.most_common(WORDS)], rng, number)
    recipe: dict[str, Any] = {
        "epochs": 40 if is_overfit else rng.choice([1, 1.5]), "lr": rng.choice([1e-3, 2e-3]),
        "batch_tokens": 768, "least_steps": 0, "patience": 1000, "max_length": 26,
        "precision": "fp32", "yardstick": False, "evaluations_per_epoch": 1 if is_overfit else 4,
    }  # fmt: skip
    facts = {"id": str(base), "parameters": 200_000, "licence": "none"}
    preset = {"name": "small", "tier": "encoder", "summary": "s", "order": 1, "model": facts}
    run = work / "run"
    run.mkdir()
    job = TrainJob(
        run="small-0123456789", folder=str(run), cache=str(work / "cache"), seed=number,
        preset=Preset.model_validate(preset | {"training": recipe}), model_path=str(base),
        dataset=datasets.find(str(data)), started_monotonic_s=time.monotonic(), save_every_s=1e9,
    )  # fmt: skip
    log = EventLog(run / "events.jsonl", started_monotonic_s=time.monotonic(), writes=True)
    _work(job, log, StopFlag(Deadline("session", None)))
    return run, recipe["epochs"]


def verdicts(run: Path) -> tuple[GuardReport, list[str]]:
    """What the guards saw, and what they said of overfitting."""
    report = GuardReport.model_validate_json((run / "guards.json").read_text("utf-8"))
    return report, [f["text"] for f in report.findings if f["check"] == OVERFITTING]


def score(tuning: TuningFacts, epochs: float) -> float:
    at, last = tuning.delivered, tuning.validated[-1]
    assert at is not None
    found = risk({
        "loss_gap": RiskNumber(at.raw_loss - at.train_loss),
        "accuracy_gap": RiskNumber(at.train_accuracy - at.accuracy),
        "epochs_after_best": RiskNumber((last.step - at.step) * epochs / tuning.total_steps),
    })  # fmt: skip
    assert found.score is not None
    return found.score


def each(given: argparse.Namespace) -> Iterator[dict[str, Any]]:
    rows, end_s = rows_of(Path(given.data)), time.monotonic() + 60 * given.minutes
    for number in range(given.first, given.first + given.runs):
        for is_overfit in (True, False):
            if time.monotonic() > end_s:
                return
            with tempfile.TemporaryDirectory(prefix="agnews-overfitting-") as work:
                quiet, sys.stdout = sys.stdout, (Path(work) / "out").open("w")
                try:
                    run, epochs = trained(Path(work), rows, number, is_overfit=is_overfit)
                finally:
                    sys.stdout.close()
                    sys.stdout = quiet
                report, said = verdicts(run)
            (tuning,) = report.tunings
            at, last = tuning.delivered, tuning.validated[-1]
            assert at is not None
            yield {
                "run": number, "is_overfit": is_overfit, "is_called": bool(said),
                "rows": tuning.rows, "train": at.train_accuracy, "validation": at.accuracy,
                "last_train": last.train_accuracy, "last_validation": last.accuracy, "said": said,
                "score": round(score(tuning, epochs), 4),
            }  # fmt: skip


def shown(right: int, of: int) -> str:
    low, high = best_of(right / max(1, of), of, 1)
    return f"{right} of {of} ({right / max(1, of):.0%}, 95% interval {low:.0%} to {high:.0%})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("--data", required=True, help="a folder with train.csv: label, title, description")
    add("--runs", type=int, default=40, help="of each kind (40)")
    add("--minutes", type=float, default=15.0, help="no run begins after so many (15)")
    add("--first", type=int, default=0, help="number of the first run (0)")
    given, found = parser.parse_args(), []
    for one in each(given):
        found.append(one)
        print(json.dumps(one), flush=True)
    called = [one for one in found if one["is_called"]]
    overfit = [one for one in found if one["is_overfit"]]
    hits = sum(one["is_called"] for one in overfit)
    scores: dict[int, dict[bool, float]] = {}
    for one in found:
        scores.setdefault(one["run"], {})[one["is_overfit"]] = one["score"]
    pairs = [each for each in scores.values() if len(each) == 2]
    higher = sum(pair[True] > pair[False] for pair in pairs)
    print(f"risk score higher where made to overfit: {shown(higher, len(pairs))}")
    print(f"recall: {shown(hits, len(overfit))}")
    print(f"precision: {shown(hits, len(called))}")
    print(f"healthy runs called overfit: {shown(len(called) - hits, len(found) - len(overfit))}")


if __name__ == "__main__":
    main()
