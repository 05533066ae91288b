"""What the worker is started with, unless the user has said how."""

from __future__ import annotations

import sys
import time

import pytest

from agnews_cli.core.machine.accelerator import Accelerator
from agnews_cli.host import launch

SAID = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "PYTORCH_ENABLE_MPS_FALLBACK")


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
    tmp_path, monkeypatch, kind, said, found
):
    shown = tmp_path / "shown"
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\nenv > {shown}\n")
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    for name in SAID:
        monkeypatch.delenv(name, raising=False)
    for name, value in said.items():
        monkeypatch.setenv(name, value)
    worker = launch.start(
        tmp_path / "job.json",
        tmp_path / "worker.log",
        Accelerator(kind=kind, name=kind, count=1),
        processes=1,
        cpu_count=2,
    )
    while worker.poll() is None:
        time.sleep(0.01)
    worker.close()
    lines = dict(line.partition("=")[::2] for line in shown.read_text().splitlines())
    assert {name: lines[name] for name in SAID if name in lines} == found
