"""What checkpoints cost, and how soon a resumed run is at work again.

    python benchmarks/checkpointing.py cost [--pairs 5] [--rows 10000] [--epochs 10] \\
        [--between SECONDS] [--warm-up STEPS]
    python benchmarks/checkpointing.py whole [--pairs 5] [--rows 10000] [--epochs 3]
    python benchmarks/checkpointing.py restart [--rows 3000]

`cost`: neighbouring stretches of one training, in turn without and with a checkpoint that is asked
for, written, sent to an S3 store (`light_s3.py`) behind a link of `--link` megabytes a second and
read back from it. What a save costs is the time of a stretch with one, less what its steps take in
the stretches before and after it; how much these two differ is the measure of noise. Divided by the
interval that agnews would have chosen, it is how much longer training takes; bar: at most 1.01
times. The seconds of validations are left out.

`whole`: the same of whole trainings, alternately with checkpoints at the chosen interval, sent to
that store, and with none. Compared is the time between the first report of progress after step 10
and the last one. They must be longer than the interval (some 320 s before MiniLM's first save), or
nothing is saved in them; the machine's drift from one to the next, some percent, is in the result.

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
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import light_s3
import peers
from throughput import WARM_UP_STEPS, sample
from time_to_accuracy import end_on_sigterm, isolated, run

from agnews_cli.core.hours.lifetime import PRIOR_S
from agnews_cli.core.saving.interval import save_interval
from agnews_cli.store.run.runs import SAVE_NOW

COST_BAR = 1.01
BATCH_TOKENS = 1024
FIRST_STRETCH_S, REST_S = 60.0, 2.0


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


@dataclass(frozen=True)
class Stretch:
    """Part of a training: its seconds, but for those of validations, and its steps."""

    seconds: float
    steps: int

    @property
    def step_s(self) -> float:
        return self.seconds / self.steps


def stretch(found: list[dict[str, Any]], from_s: float, to_s: float) -> Stretch:
    """Between two moments (elapsed), by the reports of progress, which come every second."""
    seconds, steps, validating_s = 0.0, 0, 0.0
    last: dict[str, Any] | None = None
    for event in found:
        if event["kind"] == "validated":
            validating_s += event["data"]["seconds"]
        if event["kind"] != "progress":
            continue
        if last is not None and from_s <= last["elapsed_s"] and event["elapsed_s"] <= to_s:
            seconds += event["elapsed_s"] - last["elapsed_s"] - validating_s
            steps += event["data"]["step"] - last["data"]["step"]
        last, validating_s = event, 0.0
    return Stretch(seconds, steps)


class Training:
    """An `agnews auto` at work that saves only when it is asked to."""

    def __init__(self, data: Path, work: Path, epochs: int, env: dict[str, str]) -> None:
        self._store = work / "store"
        (work / "home").mkdir()
        more = ["--store", "s3://bench/cost", "--save-every", "1000h"]
        more += ["--set", "training.patience=1000"]
        command = order(data, self._store, *more, epochs=epochs)
        self._process = subprocess.Popen(
            command, env={**isolated(str(work / "home")), **env}, cwd=peers.ROOT,
            stdout=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip

    def events(self) -> list[dict[str, Any]]:
        if self._process.poll() is not None:
            sys.exit("the training is over: give more --epochs, or fewer --pairs")
        return events(self._store) if any(self._store.glob("*/events.jsonl")) else []

    def step(self) -> int:
        reports = [e for e in self.events() if e["kind"] == "progress"]
        return int(reports[-1]["data"]["step"]) if reports else 0

    def elapsed_s(self) -> float:
        """Now, on the events' clock."""
        last = self.events()[-1]
        return float(
            last["elapsed_s"] + time.time() - datetime.fromisoformat(last["at"]).timestamp()
        )

    def ask(self) -> None:
        next(self._store.glob("*/events.jsonl")).with_name(SAVE_NOW).touch()

    def sent(self) -> int:
        """How many checkpoints the store has got so far, read back."""
        pages = self._store.glob("*/stores/*.json")
        return sum(len(json.loads(page.read_text("utf-8"))["durations_s"]) for page in pages)

    def kill(self) -> None:
        for _ in range(2):  # the second one stops at once
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGINT)
            time.sleep(1)
        self._process.wait()


def measure_cost(given: argparse.Namespace, work: Path, data: Path) -> int:
    with ExitStack() as stack:
        env = stack.enter_context(light_s3.running(given.link))
        training = Training(data, work, given.epochs, env)
        stack.callback(training.kill)
        while training.step() <= given.warm_up:
            time.sleep(1)
        moments, length_s = [training.elapsed_s()], given.between or FIRST_STRETCH_S
        for pair in range(given.pairs):
            time.sleep(length_s)
            moments.append(training.elapsed_s())
            time.sleep(REST_S)  # a report of progress, so that the pause is within the stretch
            training.ask()
            while training.sent() == pair:
                time.sleep(0.5)
            time.sleep(REST_S)  # older ones are removed there
            moments.append(training.elapsed_s())
            with_s = moments[-1] - moments[-2]
            length_s = given.between or with_s
            print(f"sent after {with_s - 2 * REST_S:.0f} s", file=sys.stderr, flush=True)
        time.sleep(length_s)
        moments.append(training.elapsed_s())
        found = training.events()
    stretches = [stretch(found, *ends) for ends in pairwise(moments)]
    costs_s, drifts_s = [], []
    for before, within, after in zip(
        stretches[::2], stretches[1::2], stretches[2::2], strict=False
    ):
        costs_s.append(within.seconds - within.steps * (before.step_s + after.step_s) / 2)
        drifts_s.append(abs(within.steps * (before.step_s - after.step_s)))
        row = {"without": [asdict(before), asdict(after)], "with": asdict(within)}
        print(json.dumps(row), file=sys.stderr, flush=True)
    saves = [e["data"] for e in found if e["kind"] == "saved"]
    chosen_s = save_interval(saves[-1]["cost_s"], PRIOR_S)
    a_save_s, pauses_s = statistics.median(costs_s), sorted(save["pause_s"] for save in saves)
    print(f"a save costs {a_save_s:.2f} s (median of {sorted(round(s, 2) for s in costs_s)})")
    drift_s = statistics.median(drifts_s)
    print(f"without a save, neighbouring stretches differ by {drift_s:.2f} s (median)")
    at_chosen = 1 + a_save_s / chosen_s
    print(f"one in {chosen_s:.0f} s, as chosen: training takes {at_chosen:.4f} times as long")
    tell_pauses(pauses_s)
    return 1 if at_chosen > COST_BAR else 0


def tell_pauses(pauses_s: list[float]) -> None:
    print(f"it pauses {statistics.median(pauses_s):.3f} s (median), at most {max(pauses_s):.3f} s")


def measure_whole(given: argparse.Namespace, work: Path, data: Path) -> int:
    took: dict[str, list[float]] = {"with": [], "without": []}
    saves: list[list[dict[str, Any]]] = []
    with light_s3.running(given.link) as env:
        for pair in range(given.pairs):
            for kind in ("with", "without"):
                store = work / f"{kind}-{pair}"
                more = {
                    "with": ("--store", f"s3://bench/{pair}"),
                    "without": ("--save-every", "1000h"),
                }[kind]
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
        sys.exit("no save fell into a training: give more --rows or --epochs")
    ratio = statistics.median(a / b for a, b in zip(took["with"], took["without"], strict=True))
    each = [save for within in saves for save in within]
    print(
        f"training took {ratio:.3f} times as long: {given.pairs} pairs, {len(each)} saves (median)"
    )
    tell_pauses([save["pause_s"] for save in each])
    return 1 if ratio > COST_BAR else 0


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
    add("what", choices=("cost", "whole", "restart"))
    add("--pairs", type=int, default=5)
    add("--rows", type=int, help="training rows (10000; restart: 3000)")
    add("--epochs", type=int, help="epochs of a training (cost: 10; whole: 3)")
    add("--link", type=float, default=5.0, help="megabytes a second to the store (5)")
    add("--between", type=float, help="cost: seconds without a checkpoint (as with one)")
    add("--warm-up", type=int, default=WARM_UP_STEPS, help="cost: steps before all that (10)")
    add("--data", type=lambda text: Path(text).resolve(), default=peers.DATA, help="folder")
    add("--trainer", nargs=3, help=argparse.SUPPRESS)
    add("--again", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    given.rows = given.rows or (3_000 if given.what == "restart" else 10_000)
    given.epochs = given.epochs or {"cost": 10, "whole": 3, "restart": 1}[given.what]
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    if given.trainer:
        data, folder, step = given.trainer
        trainer(Path(data), Path(folder), int(step), resumes=given.again)
        return 0
    end_on_sigterm()
    with tempfile.TemporaryDirectory(prefix="agnews-checkpointing-") as work:
        data = sample(given.data, given.rows, Path(work) / "data")
        measures = {"cost": measure_cost, "whole": measure_whole, "restart": measure_restart}
        return measures[given.what](given, Path(work), data)


if __name__ == "__main__":
    sys.exit(main())
