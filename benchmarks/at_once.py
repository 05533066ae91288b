"""Two members of an ensemble at once, each on a core of its own, against one after the other.

    python benchmarks/at_once.py [--rounds 3] [--rows 400]

Cores stand in for cards: one after the other the command may use one core (`taskset`); at once it
may use two, and `--at-once 2` gives each member one. The members are MiniLM with two seeds; what is
timed is the whole command, start-ups and the joining of both included. Rounds alternate; exits 1
where the median ratio is above 0.65. Leave the machine alone meanwhile.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import peers
from throughput import sample

BAR = 0.65
_PRESET = """\
name: both
tier: ensemble
summary: Two seeds.
order: 1
members:
  - {preset: minilm, settings: [training.r_drop=0, training.linear_teacher=0]}
  - {preset: minilm, seed: 1, settings: [training.r_drop=0, training.linear_teacher=0]}
"""


def took_s(work: Path, cores: str, at_once: int) -> float:
    store = work / "runs"
    shutil.rmtree(store, ignore_errors=True)
    words = ["auto", str(work / "data"), "--preset", str(work / "both.yaml"), "--store", str(store)]
    command = ["taskset", "-c", cores, sys.executable, "-m", "agnews_cli", *words]
    env = os.environ | {
        "PYTHONPATH": str(peers.ROOT),
        "AGNEWS_HOME": str(work / "home"),
        "AGNEWS_CACHE": str(work / "cache"),
        "HF_HUB_OFFLINE": "1",
        "OMP_WAIT_POLICY": "PASSIVE",
    }
    began_s = time.monotonic()
    done = subprocess.run(
        [*command, "--at-once", str(at_once)], env=env, capture_output=True, text=True
    )
    if done.returncode:
        sys.exit(done.stderr[-3000:])
    return time.monotonic() - began_s


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rows", type=int, default=400)
    parser.add_argument("--data", type=Path, default=peers.DATA)
    given = parser.parse_args()
    ratios = []
    with tempfile.TemporaryDirectory(prefix="agnews-at-once-") as name:
        work = Path(name)
        sample(given.data, given.rows, work / "data")
        (work / "both.yaml").write_text(_PRESET)
        for _ in range(given.rounds):
            alone_s, together_s = took_s(work, "0", 1), took_s(work, "0,1", 2)
            ratios.append(together_s / alone_s)
            print(f"{alone_s:.1f} s one after the other, {together_s:.1f} s at once", flush=True)
    ratio = statistics.median(ratios)
    print(f"ratio {ratio:.2f} (median of {len(ratios)}; bar {BAR})")
    return 1 if ratio > BAR else 0


if __name__ == "__main__":
    sys.exit(main())
