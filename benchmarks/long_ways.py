"""Long texts cut, read by both ends and in windows: MiniLM on one set of made texts, paired.

The texts are those of `long_texts.py`: AG News rows of a pair of topics, the class, joined to 200
words and more, in ten skewed classes. Each way trains with the same seed, rows, epochs and 128
tokens in a pass, and is asked about the same test rows. Prints accuracy with its interval, the
difference from cutting with a paired 95% interval (`learn/figures/paired`), and seconds.

    python benchmarks/long_ways.py [--rows 500] [--epochs 2] [--test 300] [--data DIR]
"""

from __future__ import annotations

import argparse
import csv
import json
import random
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from long_texts import ROOT, write

from agnews_cli.learn.figures import paired
from agnews_cli.store.data import datasets

WAYS = {
    "cut": ("training.long_texts=cut",),
    "head_tail": ("training.long_texts=head_tail",),
    "windows, mean": ("training.long_texts=windows",),
    "windows, max": ("training.long_texts=windows", "training.window_pooling=max"),
}
PLAIN = ("r_drop=0", "linear_teacher=0", "yardstick=false", "max_length=128", "least_steps=0")

HELD = ("data.validation_rows_at_least=50", "data.cross_validated_below=0")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=500)
    parser.add_argument("--test", type=int, default=300)
    parser.add_argument("--epochs", type=float, default=2)
    parser.add_argument("--ways", nargs="+", default=list(WAYS))
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data" / "ag_news")
    asked = parser.parse_args()
    source, rng = datasets.find(str(asked.data)), random.Random(0)
    right: dict[str, np.ndarray] = {}
    with tempfile.TemporaryDirectory(prefix="agnews-ways-") as work:
        place = Path(work)
        (place / "long").mkdir()
        write(place / "long" / "train.csv", datasets.read(source, "train"), asked.rows, rng)
        write(place / "long" / "test.csv", datasets.read(source, "test"), asked.test, rng)
        for name in asked.ways:
            command = [sys.executable, "-m", "agnews_cli", "auto", "--data", "long", "--json"]
            command += ["--preset", "minilm", "--store", "runs", "--epochs", str(asked.epochs)]
            training = [f"training.{one}" for one in PLAIN]
            for setting in (*WAYS[name], *training, *HELD):
                command += ["--set", setting]
            done = subprocess.run(command, cwd=place, capture_output=True, text=True, check=False)
            if done.returncode:
                sys.exit(done.stderr[-3000:] + done.stdout[-3000:])
            result = json.loads(done.stdout)
            table = Path(result["folder"]) / "predictions.csv"
            with table.open(encoding="utf-8", newline="") as file:
                rows = list(csv.DictReader(file))
            right[name] = np.asarray([row["label"] == row["predicted"] for row in rows])
            evaluation = json.loads((Path(result["folder"]) / "evaluation.json").read_text())
            test = evaluation["test"]["accuracy"]
            said = f"{name}: {right[name].mean():.1%} [{test['low']:.1%}, {test['high']:.1%}]"
            said += f" of {len(rows)}"
            if name != "cut" and "cut" in right:
                apart = right[name].astype(int) - right["cut"].astype(int)
                low, high = paired.bootstrap(apart, seed=0)
                said += f"; {apart.mean():+.1%} [{low:+.1%}, {high:+.1%}] against cut"
                said += f", McNemar p {paired.mcnemar(apart):.2g}"
            print(f"{said}; {result['wall_s']} s", flush=True)


if __name__ == "__main__":
    main()
