"""What checkpoints cost, and how soon a resumed run is at work again.

    python benchmarks/checkpointing.py cost [--pairs 5] [--rows 10000] [--epochs 2]
    python benchmarks/checkpointing.py cost --every 75 --rows 7500 --epochs 3
    python benchmarks/checkpointing.py restart [--rows 3000]

`cost`: the same training alternately with checkpoints at the chosen interval, each also sent to an
S3 store (`light_s3.py`) behind a link of `--link` megabytes a second, and with none at all.
Compared is the time between the first report of progress after step 10 and the last one; bar: at
most 1.01 times. The training must be longer than the interval (some 320 s before MiniLM's first
save), or nothing is saved in it. So that the little that saves cost stands out from the machine's
noise, `--every` saves more often: what a save and its upload cost is then divided by the interval
that would have been chosen. An upload of MiniLM's state and its reading back take 75 s at 5 MB/s;
training should last as long after its last save. Also shown: how long it stood still for each.

`restart`: both systems are 90% into an epoch of `--rows` rows and are started again. Timed is from
the start of the command, `agnews resume` or the Trainer with `resume_from_checkpoint`, to the end
of the first new step.

The model is MiniLM, the rows are real. Leave the machine alone meanwhile.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import light_s3
import peers
from throughput import WARM_UP_STEPS, sample
from time_to_accuracy import end_on_sigterm, isolated, run

from agnews_cli.core.interval import save_interval
from agnews_cli.core.lifetime import PRIOR_S

COST_BAR = 1.01
BATCH_TOKENS = 1024


def order(data: Path, store: Path, *more: str, epochs: int = 1) -> list[str]:
    return [
        sys.executable, "-m", "agnews_cli", "auto", "--data", str(data), "--preset", "minilm",
        "--set", "training.r_drop=0", "--set", f"training.epochs={epochs}", "--store", str(store),
        "--yes", "--json", "--quiet", *more,
    ]  # fmt: skip


def events(store: Path) -> list[dict[str, Any]]:
    lines = next(store.glob("*/events.jsonl")).read_text("utf-8").splitlines()
    return [json.loads(line) for line in lines]


def trained(found: list[dict[str, Any]]) -> tuple[float, list[dict[str, Any]]]:
    """Seconds from the first report of progress after the warm-up to the last one, and the saves
    that began in between."""
    progress = [e for e in found if e["kind"] == "progress"]
    first = next(e for e in progress if e["data"]["step"] > WARM_UP_STEPS)
    from_s, to_s = float(first["elapsed_s"]), float(progress[-1]["elapsed_s"])
    saves = [e for e in found if e["kind"] == "saved" and e["data"]["why"] == "interval"]
    within = [e["data"] for e in saves if from_s < e["elapsed_s"] - e["data"]["seconds"] < to_s]
    return to_s - from_s, within


def measure_cost(given: argparse.Namespace, work: Path, data: Path) -> int:
    took: dict[str, list[float]] = {"with": [], "without": []}
    saves: list[list[dict[str, Any]]] = []
    with ExitStack() as stack:
        env = stack.enter_context(light_s3.running(given.link)) if given.link else {}
        for pair in range(given.pairs):
            for kind in ("with", "without"):
                store = work / f"{kind}-{pair}"
                more = ["--store", f"s3://bench/{pair}"] if given.link else []
                more += ["--save-every", f"{given.every}s"] if given.every else []
                more = more if kind == "with" else ["--save-every", "1000h"]
                home = work / f"home-{kind}-{pair}"
                home.mkdir()
                command = order(data, store, *more, epochs=given.epochs)
                output, _, trouble = run(command, {**isolated(str(home)), **env}, 7200)
                if trouble:
                    sys.exit(f"{kind}: {trouble}\n{output[-2000:]}")
                training_s, within = trained(events(store))
                took[kind].append(training_s)
                saves += [within] if kind == "with" else []
                row = {"kind": kind, "training_s": training_s, "saves": len(within)}
                print(json.dumps(row), file=sys.stderr, flush=True)
    if not all(saves):
        sys.exit("no save fell into a training: give more --rows or --epochs, or --every")
    each = [save for within in saves for save in within]
    chosen_s = save_interval(statistics.median(within[-1]["cost_s"] for within in saves), PRIOR_S)
    pauses_s = sorted(save["pause_s"] for save in each)
    ratio = statistics.median(a / b for a, b in zip(took["with"], took["without"], strict=True))
    a_save_s = statistics.median(
        (a - b) / len(within)
        for a, b, within in zip(took["with"], took["without"], saves, strict=True)
    )
    at_chosen = 1 + a_save_s / chosen_s
    print(
        f"training took {ratio:.3f} times as long: {given.pairs} pairs, {len(each)} saves (median)"
    )
    print(
        f"a save costs {a_save_s:.2f} s; one in {chosen_s:.0f} s, as chosen: {at_chosen:.4f} times"
    )
    print(f"it pauses {statistics.median(pauses_s):.3f} s (median), at most {pauses_s[-1]:.3f} s")
    return 1 if (at_chosen if given.every else ratio) > COST_BAR else 0


def our_restart_s(data: Path, work: Path, stop_step: int) -> float:
    """From the start of `agnews resume` to the end of its first new step."""
    store, env = work / "ours", isolated(str(work / "home"))
    (work / "home").mkdir()
    began = subprocess.Popen(
        order(data, store, "--save-every", "5s", "--trace"), env=env, cwd=peers.ROOT,
        stdout=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    wait_for_step(store, stop_step)
    os.killpg(began.pid, signal.SIGINT)
    began.wait()
    done = last_step(store)
    began_s = time.monotonic()
    again = subprocess.Popen(
        [sys.executable, "-m", "agnews_cli", "resume", "--store", str(store), "--trace", "--quiet"],
        env=env, cwd=peers.ROOT, stdout=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    wait_for_step(store, done + 1)
    took_s = time.monotonic() - began_s
    os.killpg(again.pid, signal.SIGINT)
    again.wait()
    return took_s


def last_step(store: Path) -> int:
    traces = list(store.glob("*/trace.jsonl"))
    lines = traces[0].read_text("utf-8").splitlines() if traces else []
    return max((json.loads(line)["step"] for line in lines if line.endswith("}")), default=0)


def wait_for_step(store: Path, step: int) -> None:
    while last_step(store) < step:
        time.sleep(0.02)


def trainer(data: Path, folder: Path, save_step: int, *, resumes: bool) -> None:
    """The Trainer up to `save_step` and its checkpoint; or from there, saying when it works."""
    from transformers import AutoTokenizer, TrainerCallback

    tokenizer = AutoTokenizer.from_pretrained(peers.model_folder())
    encodings = peers.tokens(tokenizer, peers.read(data / "train.csv"))

    class AtWork(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
            if resumes:
                print(json.dumps({"at_s": time.time()}), flush=True)
            control.should_save = not resumes and state.global_step == save_step
            control.should_training_stop = resumes or state.global_step == save_step

    made = peers.make_trainer(encodings, tokenizer, str(folder), is_bf16=False, num_train_epochs=1)
    made.add_callback(AtWork())
    made.train(resume_from_checkpoint=str(folder / f"checkpoint-{save_step}") if resumes else None)


def their_restart_s(given: argparse.Namespace, data: Path, work: Path, stop_step: int) -> float:
    command = [sys.executable, __file__, "restart", "--rows", str(given.rows)]
    command += ["--trainer", str(data), str(work / "trainer"), str(stop_step)]
    subprocess.run(command, cwd=peers.ROOT, check=True)
    began_s = time.time()
    done = subprocess.run([*command, "--again"], cwd=peers.ROOT, check=True, capture_output=True)
    return float(json.loads(done.stdout.splitlines()[-1])["at_s"]) - began_s


def measure_restart(given: argparse.Namespace, work: Path, data: Path) -> int:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(peers.model_folder())
    rows = peers.tokens(tokenizer, peers.read(data / "train.csv"))
    ours = int(0.9 * sum(len(row["input_ids"]) for row in rows) / BATCH_TOKENS)
    theirs = int(0.9 * len(peers.grouped_batches(rows)))
    took = {"agnews resume": our_restart_s(data, work, ours)}
    took["Trainer"] = their_restart_s(given, data, work, theirs)
    for name, seconds in took.items():
        print(f"{name}: {seconds:.1f} s to the end of its first new step")
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("what", choices=("cost", "restart"))
    add("--pairs", type=int, default=5)
    add("--rows", type=int, help="training rows (cost: 10000; restart: 3000)")
    add("--epochs", type=int, default=2, help="epochs of each training of cost (2)")
    add("--every", type=float, default=0.0, help="cost: seconds between saves, not as chosen")
    add("--link", type=float, default=5.0, help="megabytes a second to the store; 0: no store (5)")
    add("--data", type=lambda text: Path(text).resolve(), default=peers.DATA, help="folder")
    add("--trainer", nargs=3, help=argparse.SUPPRESS)
    add("--again", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    given.rows = given.rows or {"cost": 10_000, "restart": 3_000}[given.what]
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    if given.trainer:
        data, folder, step = given.trainer
        trainer(Path(data), Path(folder), int(step), resumes=given.again)
        return 0
    end_on_sigterm()
    with tempfile.TemporaryDirectory(prefix="agnews-checkpointing-") as work:
        data = sample(given.data, given.rows, Path(work) / "data")
        measure = {"cost": measure_cost, "restart": measure_restart}[given.what]
        return measure(given, Path(work), data)


if __name__ == "__main__":
    sys.exit(main())
