"""A file much larger than memory should hold: seconds and peak memory, beside its bars.

    python benchmarks/large_files.py [--rows 2350000] [--file PATH] [--check]

makes a CSV of distinct short rows (600 MB by default), and runs

- `agnews auto --dry-run` on it and on its first 2,000,000 rows, the first time (under 15 s) and
  again, when nothing is parsed (under 5 s): under 500 MB;
- `agnews auto --limit-train 300 --budget 45s`: ends with a model, within the budget and 2 s of
  leaving, no process over 700 MB.

With `--check` it runs `agnews check` alone (`--rows 5000000`): under 2 GB, and its answer is shown.

Memory is the sum of private and shared pages (RSS) of each process, looked at 20 times a second.
Exits 1 when a bar is missed.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import psutil

CLASSES, WORDS = 4, 40
CHECK_BYTES, FOUND = 2e9, 3
FIRST_S, AGAIN_S, DRY_RUN_BYTES = 15.0, 5.0, 500e6
BUDGET_S, LEAVING_S, BUDGET_BYTES = 45.0, 2.0, 700e6


@dataclass
class Ran:
    """`peaks`: largest resident bytes of each kind of process, by what it ran."""

    code: int
    wall_s: float
    peaks: dict[str, int]
    said: str

    @property
    def peak_bytes(self) -> int:
        return max(self.peaks.values())


def make(path: Path, rows: int) -> None:
    rng = random.Random(0)
    words = [f"w{number:04d}" for number in range(3000)]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        for row in range(rows):
            text = f"topic{row % CLASSES} {' '.join(rng.choices(words, k=WORDS))}"
            writer.writerow([text, f"class{row % CLASSES}"])


def run(folder: Path, *arguments: str) -> Ran:
    began_s = time.monotonic()
    with (folder / "said.txt").open("w+", encoding="utf-8") as said:
        process = psutil.Popen(
            [sys.executable, "-m", "agnews_cli", *arguments],
            cwd=folder,
            env=os.environ | {"AGNEWS_CACHE": str(folder / "cache")},
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
        )
        peaks: dict[str, int] = {}
        while process.poll() is None:
            for one in [process, *_children(process)]:
                with suppress(psutil.Error):
                    name = next((w for w in one.cmdline() if "agnews_cli." in w), "command")
                    peaks[name] = max(peaks.get(name, 0), one.memory_info().rss)
            time.sleep(0.05)
        wall_s = time.monotonic() - began_s
        said.seek(0)
        return Ran(process.returncode, wall_s, peaks, said.read())


def _children(process: psutil.Process) -> list[psutil.Process]:
    with suppress(psutil.Error):
        return list(process.children(recursive=True))
    return []


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=2_350_000)
    parser.add_argument("--file", type=Path, help="an existing file made before")
    parser.add_argument("--check", action="store_true", help="agnews check alone")
    asked = parser.parse_args()
    missed = 0
    with tempfile.TemporaryDirectory(prefix="agnews-large-") as work:
        folder = Path(work)
        whole = asked.file or folder / "large.csv"
        if not whole.exists():
            make(whole, asked.rows)
        if asked.check:
            ran = run(folder, "check", str(whole))
            good = ran.code in (0, FOUND) and ran.peak_bytes < CHECK_BYTES
            print(ran.said)
            return _report(f"agnews check, {whole.stat().st_size / 1e6:.0f} MB", ran, good)
        part = folder / "part.csv"
        with whole.open(encoding="utf-8") as source, part.open("w", encoding="utf-8") as sink:
            sink.writelines(islice(source, 2_000_001))
        for path in (part, whole):
            for which, most_s in (("first", FIRST_S), ("second", AGAIN_S)):
                ran = run(folder, "auto", "--data", str(path), "--dry-run")
                good = ran.code == 0 and ran.wall_s < most_s and ran.peak_bytes < DRY_RUN_BYTES
                what = f"{which} dry run, {path.stat().st_size / 1e6:.0f} MB"
                missed += _report(what, ran, good)
        ran = run(
            folder, "auto", "--data", str(whole), "--limit-train", "300",
            "--budget", f"{BUDGET_S:.0f}s", "--preset", "minilm", "--json",
        )  # fmt: skip
        good = (
            ran.code == 0
            and ran.wall_s < BUDGET_S + LEAVING_S
            and ran.peak_bytes < BUDGET_BYTES
            and '"state": "completed"' in ran.said
        )
        missed += _report(f"--limit-train 300 --budget {BUDGET_S:.0f}s", ran, good)
    return int(missed > 0)


def _report(name: str, ran: Ran, good: bool) -> int:
    peaks = {kind: round(peak / 1e6) for kind, peak in sorted(ran.peaks.items())}
    line = {"what": name, "good": good, "code": ran.code, "wall_s": round(ran.wall_s, 1)}
    print(json.dumps(line | {"peak_MB": peaks}), flush=True)
    if not good:
        print(ran.said[-2000:])
    return int(not good)


if __name__ == "__main__":
    sys.exit(main())
