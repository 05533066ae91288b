"""Fine-tuning methods on real rows and weights, each at its own tuned rate, beside the full one.

    python benchmarks/peft_methods.py --data DIR [--model minilm] [--rows 1500]
        [--test-rows 2000] [--epochs 3] [--seeds 0,1,2] [--methods full,lora-8,…] [--work FOLDER]
        [--out FILE]

`--model` is a preset. For each method the usual rate, a third of it and three times it train; the
best by the mean validation loss over the seeds is the method's (tried on fewer rows, LoRA took a
rate at which it did not learn from all of them). Everything goes through `agnews auto`, without
teacher, regularisation and linear model, so that the method alone differs, on the same rows.
Accuracy less that of full, at the seeds that both had, has its paired 95% interval (a bootstrap
over test rows, each with its mean over the seeds). Memory is the peak that is resident of the
process that trains, and examples a second are those of training, the medians over the seeds.
`saved` is what a checkpoint's weights take.

Each run is a line of FILE; what is there is not done again, and a run that was stopped goes on.
Exits 1 where LoRA of rank 8 is more than 0.5 points below full.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import random
import subprocess
import sys
import time
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from processes import family
from pydantic import TypeAdapter
from seeds import interval

from agnews_cli.core.run.method import Method
from agnews_cli.learn.combine import logits
from agnews_cli.store.data import datasets
from agnews_cli.store.settings import catalogue, presets

ROOT = Path(__file__).parents[1]
METHODS = (
    "full", "lora-4", "lora-8", "lora-16", "lora-32", "qlora-8", "houlsby", "pfeiffer",
    "prefix", "prompt", "p_tuning", "ia3", "dora-8", "vera", "bitfit",
)  # fmt: skip
FACTORS = (1 / 3, 1.0, 3.0)
"""Of the rate that a method usually takes."""
PLAIN = ("training.r_drop=0", "training.linear_teacher=0", "training.yardstick=false",
         "data.cross_validated_below=0", "training.patience=1000000")  # fmt: skip
BELOW_AT_MOST = 0.005
_LOOK_S = 0.1


@dataclass(frozen=True, slots=True)
class Asked:
    model: str
    work: Path


def settings(name: str) -> list[str]:
    """`lora-8`: the method, and its rank."""
    kind, _, rank = name.partition("-")
    return [f"method.kind={kind}", *([f"method.rank={rank}"] if rank else [])]


def draw(source: Path, folder: Path, rows: int, test_rows: int) -> Path:
    """Rows of `source`, the same for every method."""
    if (folder / "test.csv").exists():
        return folder
    found, rng = datasets.find(str(source)), random.Random(0)
    folder.mkdir(parents=True, exist_ok=True)
    for name, most in (("train", rows), ("test", test_rows)):
        split = datasets.read(found, name)
        chosen = rng.sample(range(len(split.texts)), min(most, len(split.texts)))
        with (folder / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
            labelled = ([split.texts[at], found.labels[split.classes[at]]] for at in chosen)
            csv.writer(file).writerows([["text", "label"], *labelled])
    return folder


def trained(
    asked: Asked, data: Path, changes: list[str], rate: float, epochs: float, seed: int
) -> dict[str, Any]:
    """One run to its end, with the peak that its largest process had resident."""
    command = [sys.executable, "-m", "agnews_cli", "auto", str(data), "--preset", asked.model]
    command += [f"--set={one}" for one in (*changes, *PLAIN)]
    command += ["--lr", f"{rate:.3g}", "--epochs", f"{epochs:g}", "--seed", str(seed)]
    command += ["--store", str(asked.work / "store"), "--justify", "a benchmark"]
    command += ["--json", "--quiet"]
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    with (asked.work / "last.json").open("w+", encoding="utf-8") as out:
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.PIPE, text=True, env=env)
        peak = 0
        while process.poll() is None:
            peak = max([peak, *(resident(one) for one in family(process.pid))])
            time.sleep(_LOOK_S)
        if process.returncode:
            assert process.stderr is not None
            raise SystemExit(f"{' '.join(command)}: {process.stderr.read()[-3000:]}")
        out.seek(0)
        found: dict[str, Any] = json.load(out)
        return found | {"peak": peak}


def resident(process: Any) -> int:
    import psutil

    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0


def facts(result: dict[str, Any]) -> dict[str, Any]:
    """What is kept of a run."""
    folder = Path(result["folder"])
    told = [json.loads(line) for line in (folder / "events.jsonl").read_text("utf-8").splitlines()]
    saved = [one["data"]["bytes"] for one in told if one["kind"] == "saved"]
    speeds = [
        one["data"]["examples_per_s"]
        for one in told
        if one["kind"] == "progress" and "examples_per_s" in one["data"]
    ]
    return {
        "folder": str(folder),
        "accuracy": result["evaluation"]["test"]["accuracy"],
        "validation_loss": result["candidates"][0]["validation_loss"],
        "peak": result["peak"],
        "examples_per_s": float(np.median(speeds)) if speeds else None,
        "saved": saved[-1] if saved else None,
    }


def lines(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.read_text().splitlines()] if out.exists() else []


def measure(asked: Asked, given: argparse.Namespace) -> None:
    data = draw(given.data, asked.work / "data", given.rows, given.test_rows)
    there = {line["key"] for line in lines(given.out)}
    seeds = map(int, given.seeds.split(","))
    for seed, name, factor in product(seeds, given.methods.split(","), FACTORS):
        rate = usual_rate(asked.model, name) * factor
        key = f"{name} at {rate:.3g}" + (f", seed {seed}" if seed else "")
        if key in there:
            continue
        result = trained(asked, data, settings(name), rate, given.epochs, seed)
        line = {"key": key, "method": name, "rate": rate, "seed": seed} | facts(result)
        with given.out.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        print(json.dumps(line), flush=True)


def method_of(name: str) -> Method:
    kind, _, rank = name.partition("-")
    found: Method = TypeAdapter(Method).validate_python(
        {"kind": kind} | ({"rank": int(rank)} if rank else {})
    )
    return found


def usual_rate(model: str, name: str) -> float:
    return presets.load(model).training.lr * method_of(name).usual_rate


def table(asked: Asked, out: Path) -> int:
    """Prints each method at its rate; 1 where LoRA of rank 8 is too far below full."""
    tried: dict[str, dict[str, list[dict[str, Any]]]] = {}  # by method and rate, over the seeds
    for line in lines(out):
        tried.setdefault(line["method"], {}).setdefault(f"{line['rate']:.3g}", []).append(line)
    whole = {
        name: min(tried[name].values(), key=lambda seeds: mean(seeds, "validation_loss"))
        for name in METHODS
        if name in tried
    }
    known = catalogue.load().by_id(presets.load(asked.model).model.id)
    assert known is not None
    print(
        "| method | rate | seeds | accuracy | less full, 95% | trained weights | peak, GB "
        "| examples/s | saved, MB |"
    )
    print("| --- | ---: | ---: | ---: | --- | ---: | ---: | ---: | ---: |")
    for name, seeds in whole.items():
        weights = method_of(name).trained_parameters(known.anatomy(4))
        apart = "" if name == "full" else less(seeds, whole["full"])
        print(
            f"| `{name}` | {seeds[0]['rate']:.2g} | {len(seeds)} | {mean(seeds, 'accuracy'):.2%} "
            f"| {apart} | {weights:,} | {middle(seeds, 'peak') / 1e9:.2f} "
            f"| {middle(seeds, 'examples_per_s'):.1f} | {middle(seeds, 'saved') / 1e6:.2f} |"
        )
    lora, full = mean(whole["lora-8"], "accuracy"), mean(whole["full"], "accuracy")
    return int(lora < full - BELOW_AT_MOST)


def mean(seeds: list[dict[str, Any]], name: str) -> float:
    return float(np.mean([line[name] for line in seeds]))


def middle(seeds: list[dict[str, Any]], name: str) -> float:
    return float(np.median([line[name] or 0 for line in seeds]))


def right(folder: Path) -> NDArray[np.bool_]:
    """Whether each test row is, in the order of their digests."""
    kept = logits.read(folder / "predictions" / "test.safetensors")
    order = np.lexsort(kept.rows.T)
    return (kept.delivered.argmax(1) == kept.classes)[order]


def less(some: list[dict[str, Any]], full: list[dict[str, Any]]) -> str:
    """Points of accuracy at the seeds that both have, and their interval."""
    by_seed = {line.get("seed", 0): line["folder"] for line in full}
    each = [
        right(Path(line["folder"])).astype(float) - right(Path(by_seed[line.get("seed", 0)]))
        for line in some
        if line.get("seed", 0) in by_seed
    ]
    apart, low, high = interval(np.asarray(each))
    return f"{100 * apart:+.2f} ({100 * low:+.2f} to {100 * high:+.2f})"


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", default="minilm")
    parser.add_argument("--rows", type=int, default=1500)
    parser.add_argument("--test-rows", type=int, default=2000)
    parser.add_argument("--epochs", type=float, default=3)
    parser.add_argument("--methods", default=",".join(METHODS))
    parser.add_argument("--work", type=Path, default=Path("peft"))
    parser.add_argument("--out", type=Path, default=Path("peft.jsonl"))
    parser.add_argument("--seeds", default="0")
    given = parser.parse_args()
    asked = Asked(given.model, given.work.resolve())
    asked.work.mkdir(parents=True, exist_ok=True)
    measure(asked, given)
    return table(asked, given.out)


if __name__ == "__main__":
    sys.exit(main())
