"""Training examples a second: `agnews auto` beside transformers' Trainer, like with like.

The same model (MiniLM, six layers, trained whole), the same rows, the same cores and threads (which
sleep while they wait, in all systems, where other processes are busy at the start), the same
objective (cross-entropy: the preset's R-Drop, which reads each text twice, and its teacher are
off), the same
arithmetic (fp32 in both; `--precision auto`: ours at auto, the Trainer with `bf16=True` where
ours would pick bf16), and as many tokens in a batch: the Trainer takes 16 texts grouped by length,
ours `batch_tokens` = 16 x the mean padded length of those batches. Runs alternate, ours, Trainer
grouped, Trainer padded to 128, each a process of its own, and the figures are the medians and the
ratios of the medians; bars 1.15 against grouped, 1.9 against padded.

What is timed is the steady state, without start-up, tokenisation, validation and test:

- ours: from `events.jsonl`, between the first `progress` after step 10 and the last one. Its
  batches come in random order of length, so the steps left out are like the others.
- the Trainer: 10 warm-up steps, then one whole epoch, from the beginning of its first step to the
  end of its last. Its own order puts the longest texts of each 800 rows first, so leaving out the
  first steps of the epoch would flatter it by a few percent (shown as `after step 10`).

All systems read one temporary folder with `--rows` training rows drawn at random, and a few test
rows, since the test predictions are not timed. Ours trains on nine tenths of them, as it holds out
rows for validation: the same texts, but for the draw.

    python benchmarks/throughput.py [--pairs 5] [--rows 1600] [--precision fp32|auto]

exits 1 when a bar is missed. Leave the machine alone meanwhile.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import random
import shutil
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

import peers
from time_to_accuracy import busy_percent, end_on_sigterm, isolated, last_object, machine, run

WARM_UP_STEPS = 10
BARS = {"grouped": 1.15, "padded": 1.9}
TEST_ROWS = 100

Figures = dict[str, Any]


def sample(data: Path, rows: int, folder: Path) -> Path:
    """A data folder with `rows` random training rows, in file order, and the first test rows."""
    folder.mkdir()
    for name, count in (("train.csv", rows), ("test.csv", TEST_ROWS)):
        with (data / name).open(encoding="utf-8", newline="") as lines:
            table = list(csv.reader(lines))
        if name == "train.csv":
            picked = sorted(random.Random(0).sample(range(len(table)), min(count, len(table))))
        else:
            picked = list(range(min(count, len(table))))
        with (folder / name).open("w", encoding="utf-8", newline="") as out:
            csv.writer(out, quoting=csv.QUOTE_ALL).writerows(table[row] for row in picked)
    if (data / "classes.txt").exists():
        shutil.copy(data / "classes.txt", folder)
    return folder


def batch_tokens(data: Path) -> tuple[int, float]:
    """(tokens in a batch of ours, mean padded length of a text in the Trainer's batches)."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(peers.model_folder())
    encodings = peers.tokens(tokenizer, peers.read(data / "train.csv"))
    padded = [
        len(batch) * max(len(encodings[row]["input_ids"]) for row in batch)
        for batch in peers.grouped_batches(encodings)
    ]
    mean = sum(padded) / len(encodings)
    return round(peers.BATCH * mean), mean


def is_bf16_native() -> bool:
    """Whether bf16 is what ours would pick: CPU instructions for it, or CUDA from 8.0."""
    import torch

    if torch.cuda.is_available():
        return torch.cuda.get_device_capability() >= (8, 0)
    return machine()["has_bf16"]


def trainer_speed(kind: str, data: Path, *, is_bf16: bool) -> Figures:
    """Examples a second of the Trainer over one epoch, in this process."""
    import torch
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(peers.model_folder())
    encodings = peers.tokens(tokenizer, peers.read(data / "train.csv"))
    with tempfile.TemporaryDirectory() as folder:
        how: dict[str, Any] = {
            "is_bf16": is_bf16,
            "sampling": "group_by_length" if kind == "grouped" else "random",
            "pads_to_max": kind == "padded",
        }
        warm_up = peers.make_trainer(encodings, tokenizer, folder, max_steps=WARM_UP_STEPS, **how)
        warm_up.train()
        timed = peers.make_trainer(encodings, tokenizer, folder, num_train_epochs=1, **how)
        watch = peers.stopwatch()
        timed.add_callback(watch)
        timed.train()
    times_s = watch.times_s
    later = max(0, len(encodings) - WARM_UP_STEPS * peers.BATCH)
    figures: Figures = {
        "system": kind,
        "examples_per_s": len(encodings) / (times_s[-1] - times_s[0]),
        "steps": len(times_s) - 1,
        "threads": torch.get_num_threads(),
        "bf16": is_bf16,
    }
    if later:
        figures["after_step_10"] = later / (times_s[-1] - times_s[WARM_UP_STEPS])
    return figures


def speed_from_events(file: Path) -> Figures:
    """Examples a second between the first `progress` from step 10 on and the last one, but for what
    validating took meanwhile: there are at least 200 rows that validate, however few train."""
    events = [json.loads(line) for line in file.read_text("utf-8").splitlines() if line.strip()]
    seen = [(e["elapsed_s"], e["data"]) for e in events if e["kind"] == "progress"]
    seen = [(at_s, data) for at_s, data in seen if data["step"] >= WARM_UP_STEPS]
    if len(seen) < 2:
        sys.exit(f"{file}: two reports of progress after step 10 are needed; give more --rows")
    (began_s, first), (ended_s, last) = seen[0], seen[-1]
    validating_s = sum(
        event["data"]["seconds"]
        for event in events
        if event["kind"] == "validated" and began_s < event["elapsed_s"] <= ended_s
    )
    return {
        "system": "ours",
        "examples_per_s": (last["examples"] - first["examples"])
        / (ended_s - began_s - validating_s),
        "steps": last["step"] - first["step"],
    }


def our_speed(data: Path, tokens: int, precision: str, env: dict[str, str]) -> Figures:
    """Examples a second of one run of ours."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "agnews_cli", "auto", "--data", str(data)]
        command += ["--preset", "minilm", "--seed", "0", "--store", f"{folder}/store"]
        command += ["--yes", "--json", "--quiet", "--set", "training.epochs=1"]
        command += ["--set", "training.r_drop=0", "--set", "training.linear_teacher=0"]
        command += ["--set", f"training.precision={precision}"]
        command += ["--set", f"training.batch_tokens={tokens}"]
        output, wall_s, trouble = run(command, {**isolated(folder), **env}, 3600)
        result = last_object(output)
        if trouble or result is None or "folder" not in result:
            sys.exit(f"agnews auto: {trouble or output[-1000:]}")
        figures = speed_from_events(Path(result["folder"]) / "events.jsonl")
    return {**figures, "wall_s": round(wall_s, 1)}


def their_speed(kind: str, data: Path, precision: str, env: dict[str, str]) -> Figures:
    """Examples a second of one run of the Trainer, in a process of its own."""
    command = [sys.executable, __file__, "--child", kind, "--data", str(data)]
    command += ["--precision", precision]
    output, wall_s, trouble = run(command, {**os.environ, **env}, 3600)
    figures = last_object(output)
    if trouble or figures is None:
        sys.exit(f"Trainer {kind}: {trouble or output[-1000:]}")
    return {**figures, "wall_s": round(wall_s, 1)}


def show(medians: dict[str, float], pairs: int) -> int:
    """The Markdown table; returns how many bars were missed."""
    names = {"ours": "**agnews auto**", "grouped": "Trainer, grouped by length"}
    names["padded"] = "Trainer, padded to 128"
    misses = 0
    print(f"| system | examples/s, median of {pairs} | ours is faster | bar |")
    print("| --- | ---: | ---: | ---: |")
    for kind, median in medians.items():
        ratio = bar = ""
        if kind in BARS and "ours" in medians:
            times = medians["ours"] / median
            missed = times < BARS[kind]
            misses += missed
            ratio, bar = f"{times:.2f}x", f"{BARS[kind]}x{' MISSED' if missed else ''}"
        print(f"| {names[kind]} | {median:.1f} | {ratio} | {bar} |")
    return misses


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--pairs", type=int, default=5, help="runs of each system (5)")
    add("--rows", type=int, default=1600, help="training rows (1600)")
    add("--data", type=lambda text: Path(text).resolve(), default=peers.DATA, help="folder")
    add("--precision", choices=("fp32", "auto"), default="fp32", help="of both (fp32)")
    add("--threads", type=int, default=0, help="of both (as many as this process may use)")
    add("--trainer-only", action="store_true", help="leave ours out")
    add("--out", type=Path, help="JSON of everything")
    add("--child", choices=tuple(BARS), help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> int:
    given = parse()
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    if given.child:
        is_bf16 = given.precision == "auto" and is_bf16_native()
        print(json.dumps(trainer_speed(given.child, given.data, is_bf16=is_bf16)))
        return 0
    end_on_sigterm()
    cores = sorted(os.sched_getaffinity(0))
    cores = cores[: given.threads or len(cores)]
    os.sched_setaffinity(0, cores)  # inherited; ours takes as many threads as it may use cores
    threads = len(cores)
    env = {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    busy = busy_percent()
    if busy > 10:  # what ours would choose by itself, given to all
        env["OMP_WAIT_POLICY"] = "PASSIVE"
    runs: list[Figures] = []
    with tempfile.TemporaryDirectory() as folder:
        data = sample(given.data, given.rows, Path(folder) / "data")
        tokens, mean_length = batch_tokens(data)
        print(f"{tokens} tokens a batch (mean padded length {mean_length:.1f})", file=sys.stderr)
        for _ in range(max(1, given.pairs)):
            for kind in (() if given.trainer_only else ("ours",)) + tuple(BARS):
                if kind == "ours":
                    figures = our_speed(data, tokens, given.precision, env)
                else:
                    figures = their_speed(kind, data, given.precision, env)
                print(json.dumps(figures), file=sys.stderr, flush=True)
                runs.append(figures)
    speeds: dict[str, list[float]] = {}
    for figures in runs:
        speeds.setdefault(figures["system"], []).append(figures["examples_per_s"])
    medians = {kind: statistics.median(values) for kind, values in speeds.items()}
    misses = show(medians, max(1, given.pairs))
    if given.out:
        facts = {
            "machine": machine(),
            "busy_percent_before": busy,
            "threads": threads,
            "wait_policy": env.get("OMP_WAIT_POLICY", "default"),
            "precision": given.precision,
            "rows": given.rows,
            "batch_tokens": tokens,
            "medians": medians,
            "runs": runs,
        }
        given.out.write_text(json.dumps(facts, indent=2) + "\n", "utf-8")
    return 1 if misses else 0


if __name__ == "__main__":
    sys.exit(main())
