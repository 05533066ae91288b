"""What the worker is started with, unless the user has said how."""

from __future__ import annotations

import sys
import time

import pytest

from agnews_cli.core.machine.accelerator import Accelerator
from agnews_cli.host import launch

SAID = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "PYTORCH_ENABLE_MPS_FALLBACK")


@pytest.fixture
def started(tmp_path, monkeypatch):
    """What a worker's launcher is started with."""
    shown, python = tmp_path / "shown", tmp_path / "python"
    python.write_text(f'#!/bin/sh\nenv > {shown}\necho "arguments=$*" >> {shown}\n')
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))

    def start(kind: str) -> dict[str, str]:
        job, log = tmp_path / "job.json", tmp_path / "worker.log"
        accelerator = Accelerator(kind=kind, name=kind, count=1)
        worker = launch.start(job, log, accelerator, processes=1, cpu_count=2)
        while worker.poll() is None:
            time.sleep(0.01)
        worker.close()
        return dict(line.partition("=")[::2] for line in shown.read_text().splitlines())

    return start


@pytest.mark.parametrize(
    ("kind", "said", "found"),
    [
        ("cpu", {}, {"GOMP_SPINCOUNT": "1000"}),
        ("cpu", {"GOMP_SPINCOUNT": "7"}, {"GOMP_SPINCOUNT": "7"}),
        ("cpu", {"OMP_WAIT_POLICY": "ACTIVE"}, {"OMP_WAIT_POLICY": "ACTIVE"}),
        ("cuda", {}, {}),
        ("mps", {}, {"PYTORCH_ENABLE_MPS_FALLBACK": "1"}),
        ("mps", {"PYTORCH_ENABLE_MPS_FALLBACK": "0"}, {"PYTORCH_ENABLE_MPS_FALLBACK": "0"}),
    ],
)
def test_threads_spin_briefly_and_mps_falls_back_unless_the_user_says_how(
    started, monkeypatch, kind, said, found
):
    for name in SAID:
        monkeypatch.delenv(name, raising=False)
    for name, value in said.items():
        monkeypatch.setenv(name, value)
    lines = started(kind)
    assert {name: lines[name] for name in SAID if name in lines} == found


@pytest.mark.parametrize(("said", "found"), [("", 2), ("1", 1), ("3,2", 3), ("all", 2), ("0", 2)])
def test_it_computes_with_every_core_or_as_many_threads_as_the_user_says(
    started, monkeypatch, said, found
):
    monkeypatch.setenv("OMP_NUM_THREADS", said)
    lines = started("cpu")
    assert lines["OMP_NUM_THREADS"] == str(found)
    assert f"--num_cpu_threads_per_process={found}" in lines["arguments"].split()
