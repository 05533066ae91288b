"""What a child of a kernel can know: its kernel, and that it is gone; and what it says to paste."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from agnews_cli.core.machine import notebook_cells

WATCH = """
import sys, time
from agnews_cli.host.notebook import Lifeline
lifeline = Lifeline()
path = sys.argv[1]
open(path, "w").write("watching")
end_s = time.monotonic() + 20
while time.monotonic() < end_s and not lifeline.is_cut():
    time.sleep(0.05)
open(path, "w").write("cut" if lifeline.is_cut() else "not cut")
"""
KERNEL = "import subprocess, sys; subprocess.run(sys.argv[2:])"


def wait_for(path: Path, word: str) -> None:
    give_up_s = time.monotonic() + 15
    while not (path.exists() and path.read_text() == word):
        assert time.monotonic() < give_up_s, path.exists() and path.read_text()
        time.sleep(0.05)


@pytest.mark.parametrize("dies", ["kernel", "shell"])
def test_a_child_notices_that_its_kernel_or_shell_is_gone(tmp_path, dies):
    said = tmp_path / "said"
    (tmp_path / "watch.py").write_text(WATCH)
    line = f"cd {tmp_path} && '{sys.executable}' watch.py '{said}'; true"
    command = [sys.executable, "-c", KERNEL, "kernel-1.json", "bash", "-c", line]
    kernel = subprocess.Popen(command, start_new_session=True)
    wait_for(said, "watching")
    if dies == "kernel":
        kernel.kill()  # and stays a zombie for as long as nobody asks for it
    else:
        [shell] = subprocess.check_output(["pgrep", "-P", str(kernel.pid)], text=True).split()
        subprocess.run(["kill", "-TERM", shell], check=True)
    wait_for(said, "cut")
    kernel.kill()
    kernel.wait()


def test_without_a_kernel_nothing_is_cut(tmp_path):
    said = tmp_path / "said"
    (tmp_path / "watch.py").write_text(WATCH)
    line = f"nohup '{sys.executable}' {tmp_path}/watch.py '{said}' > {tmp_path}/out 2>&1 & echo $!"
    pid = int(subprocess.check_output(["bash", "-c", line], text=True))
    wait_for(said, "watching")
    time.sleep(1.5)
    assert said.read_text() == "watching"
    import os

    os.kill(pid, signal.SIGKILL)


def test_a_cell_to_paste_is_two_lines_that_work(monkeypatch, capsys):
    monkeypatch.syspath_prepend(str(Path(__file__).parent / "standins"))
    import os

    for platform, name in (("colab", "HF_TOKEN"), ("kaggle", "KAGGLE_API_TOKEN")):
        monkeypatch.delenv(name, raising=False)
        cell = notebook_cells.pass_secret(name, platform)
        assert cell is not None and len(cell.splitlines()) == 2
        exec(cell)
        assert os.environ[name].endswith("nobody-may-see")
        monkeypatch.delenv(name)
    assert notebook_cells.pass_secret("HF_TOKEN", "local") is None
    exec(notebook_cells.MOUNT_DRIVE)
    assert "Mounted at /content/drive" in capsys.readouterr().out
    assert len(notebook_cells.MOUNT_DRIVE.splitlines()) == 2
