"""Few rows: is the validation figure true, and is the best candidate delivered?

For each seed 60 to 500 rows are drawn from a training file, `agnews auto` is run on them alone (no
test split), and every candidate of that run is asked about the official test rows. Two bars over 20
seeds: the reported interval of the validation accuracy holds the accuracy on the test rows in at
least 18; what is delivered is the best candidate on the test rows, or within 2 points of it, in at
least 16.

    python benchmarks/small_data.py [--seeds 20] [--first 0] [--data DIR] [--out FILE]

appends a line for each seed, goes on after the last one where it was stopped, and exits 1 when a
bar is missed. What it says of a seed does not depend on what else the machine does, only how long
it takes.
"""

from __future__ import annotations

import argparse
import csv
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from agnews_cli.core.run.dataset import Rows
from agnews_cli.learn.figures import blend
from agnews_cli.learn.models.linear import Linear
from agnews_cli.learn.models.model import load_delivery
from agnews_cli.learn.rows.batches import by_length
from agnews_cli.learn.rows.tokens import tokenise
from agnews_cli.store.data import datasets

ROOT = Path(__file__).parents[1]
LEAST_ROWS, MOST_ROWS = 60, 500
HOLDS_AT_LEAST, BEST_AT_LEAST, NEAR = 18 / 20, 16 / 20, 0.02
BATCH_TOKENS = 8192


def draw(path: Path, data: Path, seed: int) -> int:
    """Write so many rows as `seed` says, each class as it comes; returns how many."""
    dataset = datasets.find(str(data))
    every = datasets.read(dataset, "train")
    rng = random.Random(seed)
    rows = rng.randint(LEAST_ROWS, MOST_ROWS)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        for at in rng.sample(range(len(every.texts)), rows):
            writer.writerow([every.texts[at], dataset.labels[every.classes[at]]])
    return rows


def finetuned(folder: Path, texts: Sequence[str], length: int) -> np.ndarray:
    """Class probabilities, in bf16 where the machine has it: a third of the time."""
    model, tokenizer = load_delivery(folder, None)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model.to(device)
    tokens = tokenise(Rows(texts, [0] * len(texts)), tokenizer, length)
    out = np.empty((len(texts), model.config.num_labels), dtype=np.float32)
    with torch.inference_mode(), torch.autocast(device, dtype=torch.bfloat16):
        for rows in by_length(tokens.lengths, batch_tokens=BATCH_TOKENS):
            batch = tokens.batch(rows, tokenizer.pad_token_id)
            logits = model(**{k: v.to(device) for k, v in batch.items()}).logits.float()
            out[rows] = torch.softmax(logits, -1).cpu().numpy()
    return out


def one(seed: int, data: Path, extra: Sequence[str]) -> dict[str, Any]:
    """Train on what `seed` draws, and ask every candidate about the test rows."""
    with tempfile.TemporaryDirectory(prefix="agnews-small-") as work:
        place = Path(work)
        rows = draw(place / "small.csv", data, seed)
        command = [sys.executable, "-m", "agnews_cli", "auto", "--data", "small.csv", "--json"]
        command += ["--preset", "minilm", "--seed", str(seed), "--store", "runs", "--trace", *extra]
        began_s = time.monotonic()
        done = subprocess.run(command, cwd=place, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"seed {seed}: exit code {done.returncode}\n{done.stderr[-2000:]}")
        wall_s = time.monotonic() - began_s
        result = json.loads(done.stdout)
        folder = Path(result["folder"])
        delivery = json.loads((folder / "delivery.json").read_text("utf-8"))
        official = datasets.find(str(data))
        test = datasets.read(official, "test")
        numbers = [result["data"]["labels"].index(label) for label in official.labels]
        classes = np.asarray(numbers)[np.asarray(test.classes)]
        said = {
            "linear": Linear.load(folder / "linear").predict(test.texts),
            "minilm": finetuned(folder / "model", test.texts, delivery["max_length"]),
        }
        shares = {c["name"]: c["weight"] for c in result["candidates"] if c["weight"]}
        accuracy = {name: float((p.argmax(1) == classes).mean()) for name, p in said.items()}
        delivered = float((blend.mix(said, shares).argmax(1) == classes).mean())
        validation = result["evaluation"]["validation"]
        interval = validation["intervals"]["accuracy"]
        return {
            "seed": seed,
            "rows": rows,
            "delivered": shares,
            "test": accuracy,
            "delivered_test": delivered,
            "validation": {c["name"]: c["validation_accuracy"] for c in result["candidates"]},
            "validation_rows": validation["rows"],
            "interval": [interval["low"], interval["high"]],
            "holds": interval["low"] <= delivered <= interval["high"],
            "is_best": delivered >= max(accuracy.values()) - NEAR,
            "wall_s": round(wall_s, 1),
        }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data" / "ag_news")
    parser.add_argument("--out", type=Path, default=Path("small_data.jsonl"))
    parser.add_argument("extra", nargs="*", help="options for agnews auto, after --")
    asked = parser.parse_args()
    lines = asked.out.read_text("utf-8").splitlines() if asked.out.exists() else []
    found = {line["seed"]: line for line in map(json.loads, lines)}
    seeds = range(asked.first, asked.first + asked.seeds)
    for seed in seeds:
        if seed not in found:
            found[seed] = one(seed, asked.data, asked.extra)
            with asked.out.open("a", encoding="utf-8") as file:
                file.write(json.dumps(found[seed]) + "\n")
        print(json.dumps(found[seed]), flush=True)
    every = [found[seed] for seed in seeds]
    holds, best = (sum(line[key] for line in every) for key in ("holds", "is_best"))
    print(f"the interval holds the test accuracy in {holds} of {len(every)}")
    print(f"delivered is the best candidate, or within {NEAR:.0%}, in {best} of {len(every)}")
    return int(holds < HOLDS_AT_LEAST * len(every) or best < BEST_AT_LEAST * len(every))


if __name__ == "__main__":
    sys.exit(main())
