"""Does a student learn from its teacher? Temperatures and shares of the labels, seed by seed.

For each seed the teacher is trained, asked about the student's rows, and teaches a student at every
temperature and every share of the labels (alpha); and the same student is trained on labels alone.
All by `agnews auto` on one store, so that a teacher is trained once for all its students. Figures
are of the same test rows, paired: how much of the log-loss gap between the student on labels and
its teacher is closed, with intervals of paired bootstraps over rows.

    python benchmarks/distillation.py --data DIR [--teacher minilm-from-ensemble] [--seeds 3]
        [--rows 9500] [--test-rows 7600] [--temperatures 1,3,5,10,20] [--alphas 0.1,0.3,0.5]
        [--folds 0] [--unlabelled-rows 0 [--unlabelled-alone]] [--set FIELD=VALUE …]
        [--work FOLDER] [--out FILE]

`--data`: a data set with a train and a test split. `--teacher`: a preset of tier distilled, whose
teacher and student are taken. `--folds`: students are told of each row by teachers that have not
seen it; the gap is that to the teacher of all rows, whose lines must be there (the same command
without `--folds`). `--unlabelled-rows`: so many further training rows are given without
their labels, to one more student at T = 5 and alpha = 0.3; with `--unlabelled-alone` every student
has them, and the bar is theirs. `--set`: of teacher and student alike.
Each run is a line of FILE; what is there is not done again, and a run that was stopped goes on. It
ends with the table, and with 1 where the student closes less than half of the gap at T = 5 and
alpha = 0.3.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray
from seeds import interval

from agnews_cli.core.graph.asked import Distilled
from agnews_cli.learn.combine import logits
from agnews_cli.learn.figures import blend
from agnews_cli.store.data import datasets
from agnews_cli.store.settings import preset_shapes

ROOT = Path(__file__).parents[1]
USUAL_T, USUAL_ALPHA = 5.0, 0.3
CLOSES_AT_LEAST = 0.5
LABELS_ALONE = ("training.linear_teacher=0", "training.yardstick=false")


@dataclass(frozen=True, slots=True)
class Asked:
    teacher: str
    changes: tuple[str, ...]
    work: Path
    folds: int = 0

    @property
    def data(self) -> Path:
        return self.work / "data"

    @property
    def students(self) -> str:
        return f"student, {self.folds} folds" if self.folds else "student"

    @property
    def further(self) -> Path:
        return self.work / "unlabelled.csv"


# ---- the data -----------------------------------------------------------------------------------


def draw(source: Path, asked: Asked, rows: int, test_rows: int, unlabelled: int) -> None:
    """Rows of `source`, the same for all seeds; those without labels are none of the others."""
    if (asked.data / "test.csv").exists():
        return
    found = datasets.find(str(source))
    rng = random.Random(0)
    train, test = (datasets.read(found, split) for split in ("train", "test"))
    order = rng.sample(range(len(train.texts)), min(len(train.texts), rows + unlabelled))
    tested = rng.sample(range(len(test.texts)), min(len(test.texts), test_rows))
    asked.data.mkdir(parents=True, exist_ok=True)
    _write(asked.further, ["text"], ([train.texts[at]] for at in order[rows:]))
    for name, split, chosen in (("train", train, order[:rows]), ("test", test, tested)):
        labelled = ([split.texts[at], found.labels[split.classes[at]]] for at in chosen)
        _write(asked.data / f"{name}.csv", ["text", "label"], labelled)


def _write(path: Path, names: list[str], rows: Iterator[list[str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([names, *rows])


# ---- runs ---------------------------------------------------------------------------------------


def preset(asked: Asked, temperature: float, alpha: float) -> Path:
    """A file that is the preset of the teacher, at this temperature and share."""
    given = yaml.safe_load((ROOT / "presets" / "distilled" / f"{asked.teacher}.yaml").read_text())
    given["name"] = f"student-t{temperature:g}-a{round(100 * alpha)}"
    given["distillation"] = {"alpha": alpha, "temperature": temperature}
    if asked.folds:
        given |= {"name": f"{given['name']}-f{asked.folds}", "folds": asked.folds}
    for who in ("teacher", "student"):
        own = [*given[who].get("settings", []), *asked.changes]
        given[who]["settings"] = [*own, *(["training.yardstick=false"] if who == "student" else [])]
    path = asked.work / f"{given['name']}.yaml"
    path.write_text(yaml.safe_dump(given, sort_keys=False))
    return path


def run(asked: Asked, seed: int, words: Sequence[str]) -> dict[str, Any]:
    """The result of `agnews auto`, as JSON; it goes on where it was stopped."""
    began_s = time.monotonic()
    command = [sys.executable, "-m", "agnews_cli", "auto", "--data", str(asked.data)]
    command += ["--seed", str(seed), "--store", str(asked.work / "store"), "--json", *words]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=_environment())
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {done.returncode}\n{done.stderr[-3000:]}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found | {"seconds": round(time.monotonic() - began_s, 1)}


def _environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(ROOT)}


def teacher_of(result: dict[str, Any]) -> str:
    return next(node["run"] for node in result["graph"] if node["title"] == "teacher")


def measure(asked: Asked, out: Path, seeds: int, cells: Sequence[tuple[float, float]],
            unlabelled: Sequence[tuple[float, float]]) -> None:  # fmt: skip
    """One line of `out` for each run that is not there yet.

    `cells`, `unlabelled`: temperatures and shares of students of the rows alone, and of those that
    have the further texts too.
    """
    there = {line["key"] for line in lines(out)}
    shape = preset_shapes.load(str(preset(asked, USUAL_T, USUAL_ALPHA)))
    assert isinstance(shape, Distilled)
    settings = [f"--set={change}" for change in (*asked.changes, *LABELS_ALONE)]

    def once(key: str, seed: int, words: Sequence[str], **facts: Any) -> None:
        if key in there:
            return
        result = run(asked, seed, words)
        line = {"key": key, "seed": seed, "run": result["run"], "seconds": result["seconds"]}
        if "graph" in result and not asked.folds:
            line["teacher"] = teacher_of(result)
        with out.open("a") as file:
            file.write(json.dumps(line | facts) + "\n")
        print(f"{key}: {result['run']} in {result['seconds']:,.0f} s", flush=True)

    for seed in range(seeds):
        once(f"labels {seed}", seed, ["--preset", shape.student.name, *settings], what="labels")
        for t, alpha in cells:
            what = asked.students
            words = ["--preset", str(preset(asked, t, alpha))]
            key = f"{what} {seed} T={t:g} alpha={alpha:g}"
            once(key, seed, words, what=what, t=t, alpha=alpha)
        for t, alpha in unlabelled:
            words = ["--preset", str(preset(asked, t, alpha))]
            words += ["--unlabelled", str(asked.further)]
            key = f"unlabelled {seed} T={t:g} alpha={alpha:g}"
            once(key, seed, words, what="unlabelled", t=t, alpha=alpha)


def lines(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.read_text().splitlines()] if out.exists() else []


# ---- figures ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class OnTest:
    losses: NDArray[np.float64]
    right: NDArray[np.bool_]


def on_test(asked: Asked, run: str) -> OnTest:
    kept = logits.read(asked.work / "store" / run / "predictions" / "test.safetensors")
    classes = kept.classes.astype(np.int64)
    said = blend.softmax(kept.delivered.astype(np.float64))
    order = np.argsort(logits.as_values(kept.rows), kind="stable")
    return OnTest(blend.row_losses(said, classes)[order], (said.argmax(1) == classes)[order])


def told(apart: NDArray[np.float64]) -> str:
    """A difference and its interval; apart: (seeds, rows)."""
    mean, low, high = interval(apart)
    return f"{mean:+.4f} [{low:+.4f}, {high:+.4f}]"


def show(asked: Asked, out: Path, judged: str) -> bool:
    """The table; whether `judged` close half of the gap at the usual temperature and share."""
    found = lines(out)
    labels = {one["seed"]: on_test(asked, one["run"]) for one in found if one["what"] == "labels"}
    students = [one for one in found if one["what"] != "labels"]
    taught = {one["seed"]: on_test(asked, one["teacher"]) for one in students if "teacher" in one}
    seeds = sorted(labels.keys() & taught.keys())
    for name, each in (("student on labels", labels), ("teacher", taught)):
        loss, right = (
            np.mean([getattr(each[s], what) for s in seeds]) for what in OnTest.__slots__
        )
        print(f"{name}: log loss {loss:.4f}, accuracy {right:.2%}, over seeds {seeds}")
    print("\n| student | T | alpha | log loss | accuracy | loss against labels | of the gap |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    closed: dict[tuple[str, float, float], float] = {}
    for what, t, alpha in dict.fromkeys((one["what"], one["t"], one["alpha"]) for one in students):
        cell = {
            one["seed"]: on_test(asked, one["run"])
            for one in students
            if (one["what"], one["t"], one["alpha"]) == (what, t, alpha)
        }
        both = sorted(cell.keys() & set(seeds))
        apart = np.stack([cell[seed].losses - labels[seed].losses for seed in both])
        gap = np.mean([(taught[seed].losses - labels[seed].losses).mean() for seed in both])
        # Where the teacher is no better there is nothing to close.
        share = closed[what, t, alpha] = float(apart.mean() / gap) if gap < 0 else math.nan
        loss, right = (np.mean([getattr(cell[s], w) for s in both]) for w in OnTest.__slots__)
        print(f"| {what} | {t:g} | {alpha:g} | {loss:.4f} | {right:.2%} | {told(apart)} "
              f"| {share:.0%} |")  # fmt: skip
    return closed.get((judged, USUAL_T, USUAL_ALPHA), 0.0) >= CLOSES_AT_LEAST


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, default=ROOT / "agnews_cli" / "sample")
    parser.add_argument("--teacher", default="minilm-from-ensemble")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rows", type=int, default=9_500)
    parser.add_argument("--test-rows", type=int, default=7_600)
    parser.add_argument("--temperatures", default="1,3,5,10,20")
    parser.add_argument("--alphas", default="0.1,0.3,0.5")
    parser.add_argument("--folds", type=int, default=0)
    parser.add_argument("--unlabelled-rows", type=int, default=0)
    parser.add_argument("--unlabelled-alone", action="store_true")
    parser.add_argument("--set", action="append", default=[], dest="changes")
    parser.add_argument("--work", type=Path, default=Path("distillation"))
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    asked = Asked(given.teacher, tuple(given.changes), given.work.absolute(), given.folds)
    asked.work.mkdir(parents=True, exist_ok=True)
    out = given.out or asked.work / "runs.jsonl"
    draw(given.data, asked, given.rows, given.test_rows, given.unlabelled_rows)
    ts, alphas = ([float(one) for one in text.split(",")]
                  for text in (given.temperatures, given.alphas))  # fmt: skip
    cells = [(t, alpha) for t in ts for alpha in alphas]
    alone: bool = given.unlabelled_alone
    usual = [(USUAL_T, USUAL_ALPHA)] if given.unlabelled_rows else []
    measure(asked, out, given.seeds, [] if alone else cells, cells if alone else usual)
    return 0 if show(asked, out, "unlabelled" if alone else asked.students) else 1


if __name__ == "__main__":
    sys.exit(main())
