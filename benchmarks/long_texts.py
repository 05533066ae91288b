"""Long texts in ten skewed classes under a budget: is what validates best delivered, and why?

The texts are made of AG News rows: each joins rows of a pair of topics, the class, until it has 200
words or more; the first row is of any topic, and 128 tokens see less than half of a text. The ten
pairs get from 12% down to 1% of the rows of the largest. Prints the lengths, the candidates and the
sentence of the choice, and exits 1 where the delivered accuracy on the test rows is more than 2
points below the linear model's, or where nothing says why.

    python benchmarks/long_texts.py [--budget 4m] [--rows 3000] [--data DIR]
"""

from __future__ import annotations

import argparse
import csv
import itertools
import json
import random
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

import numpy as np

from agnews_cli.core.run.dataset import Rows
from agnews_cli.learn.models.linear import Linear
from agnews_cli.store.data import datasets

ROOT = Path(__file__).parents[1]
WORDS, STRANGE_ROWS, NEAR = 200, 1, 0.02


def classes() -> dict[str, tuple[int, int]]:
    """Ten pairs of the four topics, the same topic twice included."""
    pairs = list(itertools.combinations_with_replacement(range(4), 2))
    return {f"{a}{b}": (a, b) for a, b in pairs}


def write(path: Path, texts: Rows, rows: int, rng: random.Random) -> None:
    """A CSV of about `rows` made texts; each class has three quarters of the rows of the last."""
    of_topic: dict[int, list[str]] = defaultdict(list)
    for text, topic in zip(texts.texts, texts.classes, strict=True):
        of_topic[topic].append(text)
    weights = [0.75**n for n in range(10)]
    made = []
    for (name, pair), weight in zip(classes().items(), weights, strict=True):
        for _ in range(max(8, round(rows * weight / sum(weights)))):
            parts = [rng.choice(of_topic[rng.randrange(4)]) for _ in range(STRANGE_ROWS)]
            turn = itertools.cycle(pair)
            while sum(len(part.split()) for part in parts) < WORDS:
                parts.append(rng.choice(of_topic[next(turn)]))
            made.append((" ".join(parts), name))
    rng.shuffle(made)
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("text", "label"), *made])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--budget", default="4m")
    parser.add_argument("--rows", type=int, default=3000)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data" / "ag_news")
    asked = parser.parse_args()
    source = datasets.find(str(asked.data))
    rng = random.Random(0)
    with tempfile.TemporaryDirectory(prefix="agnews-long-") as work:
        place = Path(work)
        (place / "long").mkdir()
        write(place / "long" / "train.csv", datasets.read(source, "train"), asked.rows, rng)
        write(place / "long" / "test.csv", datasets.read(source, "test"), 1000, rng)
        command = [sys.executable, "-m", "agnews_cli", "auto", "--data", "long", "--json"]
        command += ["--preset", "minilm", "--budget", asked.budget, "--store", "runs"]
        done = subprocess.run(command, cwd=place, capture_output=True, text=True, check=False)
        print(done.stderr)
        if done.returncode:
            return 1
        result = json.loads(done.stdout)
        outcome = json.loads((Path(result["folder"]) / "outcome.json").read_text("utf-8"))
        made = datasets.find(str(place / "long"))
        test = datasets.read(made, "test")
        linear = Linear.load(Path(result["folder"]) / "linear").predict(test.texts)
        alone = float((linear.argmax(1) == np.asarray(test.classes)).mean())
        delivered = result["evaluation"]["test"]["accuracy"]
        why = result["why"]
        print(f"test accuracy: delivered {delivered:.1%}, linear alone {alone:.1%}")
        print(why, *outcome["notes"], f"{result['wall_s']} s", sep="\n")
        return int(delivered < alone - NEAR or not why)


if __name__ == "__main__":
    sys.exit(main())
