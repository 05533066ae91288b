"""F2, F3, F16, F19, ckpt-chaos: what is killed, stopped or starved ends as if it had not been."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.crash.faults import SEED, most_tries

pytestmark = pytest.mark.train
pytest.importorskip("torch")

ROOT = Path(__file__).parents[2]


def reports(tries: dict[str, int], folder: Path) -> dict[str, dict]:
    """What the loop of each fault saw; it forks, so it is a process without pytest's threads."""
    faults = [f"{fault}={most_tries() or number}" for fault, number in tries.items()]
    done = subprocess.run(
        [sys.executable, "-m", "tests.crash.loops", str(SEED), str(folder), *faults],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])
    for fault, report in found.items():
        assert report["tries"] == (most_tries() or tries[fault])
        assert not report["failures"], report["failures"][:5]
        shown = ("tries", "kills", "seen", "longest_stop_s")
        print(fault, {name: report[name] for name in shown})
    return found


def night(fault: str, tries: int) -> Any:
    return pytest.param({fault: tries}, id=f"night-{fault}", marks=pytest.mark.slow)


@pytest.mark.parametrize(
    "tries",
    [  # one process for all: to start torch, and what is compared with, take the time
        pytest.param({"F2": 6, "F3": 4, "F16": 6, "F19": 4}, id="fast"),
        night("F2", 1000),
        night("F3", 300),
        night("F16", 200),
        night("F19", 300),
    ],
)
def test_killed_stopped_starved_or_resumed_often_it_ends_as_if_it_had_not_been(tmp_path, tries):
    found = reports(tries, tmp_path)
    for fault, report in found.items():
        tried, seen = report["tries"], report["seen"]
        is_tried = {
            "F2": report["kills"] > tried,  # one to five a run
            "F3": seen.get("saved and stopped", 0) > tried / 10,
            "F16": len(seen) >= 3,
            "F19": len(seen) == 4,
        }
        assert is_tried[fault], (fault, seen)


@pytest.mark.slow
def test_ckpt_chaos_has_a_job_to_kill(tmp_path):
    """benchmarks/chaos.py, which needs a package of its own, kills this one at every file event."""
    command = [sys.executable, "benchmarks/chaos_job.py", str(tmp_path)]
    said, ends = [], []
    for _ in range(2):
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-3000:]
        said.append(done.stdout.split()[-1])
        ends.append((tmp_path / "final.bin").read_bytes())
    assert said[0] == "0"
    assert int(said[1]) > 20  # its last save is found
    assert ends[0] == ends[1]
