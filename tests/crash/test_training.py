"""F2, F3, F16, F19, ckpt-chaos: what is killed, stopped or starved ends as if it had not been."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.crash.faults import SEED, tiers

pytestmark = pytest.mark.train
pytest.importorskip("torch")

ROOT = Path(__file__).parents[2]


def reported(fault: str, tries: int, folder: Path) -> dict:
    """What the loop of `fault` saw; it forks, so it is a process without pytest's threads."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.crash.loops", fault, str(tries), str(SEED), str(folder)],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    report = json.loads(done.stdout.splitlines()[-1])
    assert report["tries"] == tries
    assert not report["failures"], report["failures"][:5]
    print(fault, {name: report[name] for name in ("tries", "kills", "seen", "longest_stop_s")})
    return report


@tiers(25, 1000)
def test_killed_at_random_times(tmp_path, tries):
    report = reported("F2", tries, tmp_path)
    assert report["kills"] > tries  # one to five a run


@tiers(12, 300)
def test_asked_to_stop_at_random_times(tmp_path, tries):
    report = reported("F3", tries, tmp_path)
    assert report["seen"].get("saved and stopped", 0) > tries / 10


@tiers(12, 200)
def test_out_of_memory(tmp_path, tries):
    assert len(reported("F16", tries, tmp_path)["seen"]) >= 3


@tiers(12, 300)
def test_resuming_itself(tmp_path, tries):
    assert len(reported("F19", tries, tmp_path)["seen"]) == 4


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
