"""A stop at any moment has its words, its code and, with --json, its object; and one code."""

from __future__ import annotations

import json
import signal
import subprocess
import sys

import pytest

from agnews_cli.cli import show
from agnews_cli.cli.main import main
from agnews_cli.store.transfer import pulls
from agnews_cli.workflows.machine import doctor
from agnews_cli.workflows.runs import stores
from agnews_cli.workflows.train import auto


def interrupted(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("words", "place", "name"),
    [
        (["resume"], stores, "found_in"),
        (["resume", "--store", "runs", "--store", "further"], pulls, "seen"),
        (["doctor"], doctor, "examine"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_stop_while_looking_is_said_and_is_one_object(
    words, place, name, monkeypatch, tmp_path, capsys
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "further").mkdir()
    monkeypatch.setattr(place, name, interrupted)
    with pytest.raises(SystemExit) as ended:
        main([*words, "--json"])
    assert ended.value.code == 130
    printed = capsys.readouterr()
    assert json.loads(printed.out)["error"]["kind"] == "Interrupted"
    if words[0] == "resume":
        assert "nothing was begun" in printed.err


@pytest.mark.parametrize(
    ("place", "name", "kept"),
    [
        (auto, "prepare", "nothing was begun"),
        (auto, "carry_out", "what was under way is not finished"),
        (show, "result", "the run is finished and kept"),
    ],
    ids=["before", "meanwhile", "afterwards"],
)
def test_a_stop_of_which_nobody_else_hears_says_what_it_cost(
    place, name, kept, monkeypatch, tmp_path, capsys
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(auto, "carry_out", lambda *_, **__: None)
    monkeypatch.setattr(place, name, interrupted)
    for _ in range(2):  # a second command of one process begins anew
        with pytest.raises(SystemExit) as ended:
            main(["auto", "--preset", "linear", "--quiet"])
        assert ended.value.code == 130
        assert f"Interrupted; {kept}." in capsys.readouterr().err


def test_a_stop_after_the_last_words_changes_nothing():
    code = (
        "import os, signal, sys\n"
        "from agnews_cli.cli import main\n"
        "main._takes_more = lambda: os.kill(os.getpid(), signal.SIGINT) or True\n"
        "sys.argv = ['agnews', 'presets', 'show', 'nosuch']\n"
        "main.main()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    before = subprocess.run(
        [sys.executable, "-m", "agnews_cli", "presets", "show", "nosuch"], capture_output=True
    )
    assert done.returncode == before.returncode > 0
    assert "nosuch" in done.stderr and "Traceback" not in done.stderr


def test_nor_does_one_while_the_interpreter_ends():
    code = (
        "import os, signal, sys\n"
        "from agnews_cli.cli.main import main\n"
        "class Late:\n"
        "    def __del__(self, kill=os.kill, pid=os.getpid(), number=signal.SIGINT):\n"
        "        kill(pid, number)\n"
        "late = Late()\n"
        "sys.argv = ['agnews', 'presets', 'show', 'nosuch']\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    before = [sys.executable, "-m", "agnews_cli", "presets", "show", "nosuch"]
    assert done.returncode == subprocess.run(before, capture_output=True).returncode


def test_whoever_calls_it_from_python_keeps_its_own_handlers():
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(SystemExit):
        main(["presets", "show", "nosuch"])
    assert signal.getsignal(signal.SIGINT) is before
