"""Runs that are killed at random moments, and sessions that must end in time: real commands.

    python benchmarks/interruptions.py kills [--runs 100] [--rows 96]
    python benchmarks/interruptions.py deadlines [--runs 100] [--shortest 60] [--longest 180]

`kills`: one run is trained straight. Then each run is killed 1 to 5 times with -9 at random moments
after its command began (the worker alone, the command alone, or both), and gone on with by `agnews
resume` alone. Counted: runs that do not complete, and runs whose weights or predictions differ from
the straight one's by a single bit. After a kill of the command alone the worker saves and ends by
itself; `resume` waits for that as a user would, by being typed again.

`deadlines`: each session gets a random length and the machine is slowed at random by processes that
compute and pause. Counted: sessions that end after their deadline; and the time left unused, as a
share of the session, over those that had work left.

The rows are real (a sample of `--data`), the model is MiniLM; exits 1 when a bar is missed. A run
is appended to `--out` as a line of JSON, and `--skip N` goes on after N runs: a long measurement
may be taken in pieces. `--seed` chooses other moments; `--at-once N` has N side by side, each
slowed by the others.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import multiprocessing
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import peers
from checkpointing import events
from processes import family
from throughput import sample

GOES_ON, BUSY, KILLED = 75, 75, -signal.SIGKILL
DELIVERED = ("model/model.safetensors", "predictions.csv")
UNUSED_BAR = 0.05

Row = dict[str, Any]


class Place:
    """A folder with a home, a cache and a store; commands run in it as a user would type them."""

    def __init__(self, folder: Path, cache: Path) -> None:
        self.folder, self.store = folder, folder / "runs"
        folder.mkdir(parents=True)
        self.env = os.environ | {
            "PYTHONPATH": str(peers.ROOT),
            "AGNEWS_HOME": str(folder / "home"),
            "AGNEWS_CACHE": str(cache),
            "HF_HUB_OFFLINE": "1",
        }

    def start(self, *words: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "agnews_cli", *words, "--store", str(self.store)]
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=(self.folder / "out.txt").open("a"),
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(self, *words: str, timeout_s: float = 900) -> int:
        process = self.start(*words)
        try:
            return process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            return process.wait()

    def saved_at(self) -> float:
        """When the run last saved, or began where it never did, in seconds since 1970."""
        found = [event for event in events(self.store) if event["kind"] in ("started", "saved")]
        return datetime.fromisoformat(found[-1]["at"]).timestamp()

    def digests(self) -> dict[str, str]:
        """SHA-256 of what the only run delivered; "" for what is not there."""
        found = {}
        for name in DELIVERED:
            paths = list(self.store.glob(f"*/{name}"))
            found[name] = hashlib.sha256(paths[0].read_bytes()).hexdigest() if paths else ""
        return found


def kill(process: subprocess.Popen[str], what: str) -> None:
    """SIGKILL to the worker (all that the command started), the command, or both."""
    every = family(process.pid)
    chosen = {"worker": every[1:], "command": every[:1], "both": every}[what]
    for victim in chosen:
        with suppress(Exception):
            victim.send_signal(signal.SIGKILL)


def one_with_kills(place: Place, order: list[str], rng: random.Random, takes_s: float) -> Row:
    """Begin, kill, go on, to the end; how it went. No kills: it was over before the first."""
    kills, words = [], order
    for _ in range(rng.randrange(1, 6)):
        process = place.start(*words)
        with suppress(subprocess.TimeoutExpired):
            process.wait(rng.uniform(0.3, takes_s))
        if process.poll() == 0:
            break
        what = rng.choice(("worker", "command", "both"))
        kill(process, what)
        process.wait()
        kills.append(what)
        words = ["resume"] if list(place.store.glob("*/created.json")) else order
    give_up_s, code = time.monotonic() + 600, 1
    while time.monotonic() < give_up_s and (code := place.run(*words)) == BUSY:
        time.sleep(1.0)
    if code == 66 and all(place.digests().values()):  # completed before the last kill
        code = 0
    return {"kills": kills, "code": code, **place.digests()}


def measure_kills(given: argparse.Namespace, work: Path, data: Path) -> int:
    order = ["auto", "--data", str(data), "--preset", "minilm", "--save-every", "1s"]
    order += ["--set", "training.epochs=2", "--set", "training.r_drop=0"]
    # A fine-tuned model is delivered, whose weights are compared, and one training makes it.
    order += ["--set", "training.yardstick=false", "--set", "data.cross_validated_below=0"]
    straight = Place(work / "straight", work / "cache")
    began_s = time.monotonic()
    if straight.run(*order):
        sys.exit((straight.folder / "out.txt").read_text()[-2000:])
    takes_s, expected = time.monotonic() - began_s, straight.digests()
    if not all(expected.values()):
        sys.exit(f"the undisturbed run delivered not all of {', '.join(DELIVERED)}")

    def one(number: int) -> Row:
        rng, row = random.Random(f"{given.seed} {number}"), Row(kills=[])
        while not row["kills"]:  # over before the first kill: once more from the beginning
            place = Place(work / f"run-{number}", work / "cache")
            row = one_with_kills(place, order, rng, takes_s)
            if not row["kills"]:
                shutil.rmtree(place.folder)
        row |= {"run": number, "same": {n: row.pop(n) for n in DELIVERED} == expected}
        if row["code"] == 0 and row["same"]:
            shutil.rmtree(place.folder)
        else:
            print((place.folder / "out.txt").read_text()[-3000:], file=sys.stderr)
        return row

    rows = each(given, one)
    kills = sum(len(row["kills"]) for row in rows)
    failed = sum(row["code"] != 0 for row in rows)
    different = sum(row["code"] == 0 and not row["same"] for row in rows)
    print(f"{len(rows)} runs, {kills} kills: {failed} did not complete, {different} differ")
    return 1 if failed or different else 0


def burn(seed: str) -> None:
    """Compute and pause, at random, for ever."""
    rng = random.Random(seed)
    while True:
        until_s = time.monotonic() + rng.uniform(0.5, 8.0)
        while time.monotonic() < until_s:
            hashlib.sha256(bytes(100_000)).digest()
        time.sleep(rng.uniform(0.5, 8.0))


def measure_deadlines(given: argparse.Namespace, work: Path, data: Path) -> int:
    context = multiprocessing.get_context("spawn")

    def one(number: int) -> Row:
        rng = random.Random(f"{given.seed} {number}")
        session_s = rng.uniform(given.shortest, given.longest)
        burners = [
            context.Process(target=burn, args=(f"{number} {which}",), daemon=True)
            for which in range(rng.randrange(4))
        ]
        for burner in burners:
            burner.start()
        place = Place(work / f"session-{number}", work / "cache")
        began_s = time.monotonic()
        code = place.run(
            "auto", "--data", str(data), "--preset", "minilm", "--set", "training.epochs=500",
            "--justify", "to be paused",
            "--session-hours", str(session_s / 3600),
        )  # fmt: skip
        took_s, ended_s = time.monotonic() - began_s, time.time()
        for burner in burners:
            burner.kill()
        if took_s > session_s or code != GOES_ON:
            print((place.folder / "out.txt").read_text()[-2000:], file=sys.stderr)
        row = {"run": number, "code": code, "session_s": session_s, "took_s": took_s}
        row |= {"burners": len(burners), "closing_s": ended_s - place.saved_at()}
        shutil.rmtree(place.folder)
        return row

    rows = each(given, one)
    late = sum(row["took_s"] > row["session_s"] or row["code"] != GOES_ON for row in rows)
    unused = statistics.median(1 - row["took_s"] / row["session_s"] for row in rows)
    closing_s = max(row["closing_s"] for row in rows)
    print(
        f"{len(rows)} sessions: {late} ended late or otherwise than paused; "
        f"unused time {unused:.1%} of the session (median); "
        f"from the last save to the end at most {closing_s:.1f} s"
    )
    return 1 if late or unused > UNUSED_BAR else 0


def each(given: argparse.Namespace, one: Callable[[int], Row]) -> list[Row]:
    """Every run that is wanted, `--at-once` side by side, each recorded when it is done."""
    with ThreadPoolExecutor(given.at_once) as pool:
        rows = []
        for row in pool.map(one, range(given.skip, given.runs)):
            record(given, row)
            rows.append(row)
    return rows


def record(given: argparse.Namespace, row: Row) -> None:
    print(json.dumps(row), file=sys.stderr, flush=True)
    if given.out:
        with given.out.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("what", choices=("kills", "deadlines"))
    add("--runs", type=int, default=100)
    add("--skip", type=int, default=0, help="runs already done")
    add("--at-once", type=int, default=1, help="runs side by side, on the same cores")
    add("--rows", type=int, default=96, help="training rows (96)")
    add("--shortest", type=float, default=60, help="seconds of the shortest session")
    add("--longest", type=float, default=180, help="seconds of the longest session")
    add("--seed", type=int, default=0)
    add("--data", type=lambda text: Path(text).resolve(), default=peers.DATA, help="folder")
    add("--out", type=Path, help="a file of JSON lines to append to")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="agnews-interruptions-") as work:
        data = sample(given.data, given.rows, Path(work) / "data")
        measure = {"kills": measure_kills, "deadlines": measure_deadlines}[given.what]
        return measure(given, Path(work), data)


if __name__ == "__main__":
    sys.exit(main())
