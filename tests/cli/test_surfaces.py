"""What is shown where there is nothing yet, and colours that mean something."""

from __future__ import annotations

import os
import pty
import re
import termios
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest

from agnews_cli.cli import bars, machine
from agnews_cli.cli.main import main
from agnews_cli.cli.output import Output
from agnews_cli.core.machine.finding import Finding
from agnews_cli.core.run.dataset import Dataset
from agnews_cli.core.run.job import Outcome
from agnews_cli.store.run import runs
from agnews_cli.store.settings import presets
from agnews_cli.workflows.hours.declared import note_left
from agnews_cli.workflows.hours.quota import look

FOUND = (
    Finding("disk", "mend", "0.2 GB free", "Free some space"),
    Finding("python", "good", "Python 3.11"),
    Finding("hub", "know", "does not answer", "curl -I x"),
)


def drawn(show: Callable[[Output], None], **env: str) -> str:
    """What `show` sends to a terminal of 100 x 40."""
    reader, writer = pty.openpty()
    termios.tcsetwinsize(writer, (40, 100))
    parts: list[bytes] = []

    def read() -> None:
        with suppress(OSError):  # the end of it
            while part := os.read(reader, 4096):
                parts.append(part)

    thread = threading.Thread(target=read)
    thread.start()
    with os.fdopen(writer, "w", encoding="utf-8") as stream:
        show(Output(stream=stream, env={"TERM": "xterm-256color", **env}))
    thread.join()
    os.close(reader)
    return b"".join(parts).decode().replace("\r\n", "\n")


def without_colours(text: str) -> str:
    bare = re.sub(r"\x1b\[[\d;]*m", "", text)
    return "\n".join(line.rstrip() for line in bare.split("\n"))


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """`agnews …` in an empty folder: what it printed, however it ended."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> str:
        with pytest.raises(SystemExit):
            main(list(arguments))
        return "".join(capsys.readouterr())

    return run


def begin(store: Path, name: str = "minilm-0123456789") -> runs.RunFolder:
    data = Dataset.model_construct(name="d")
    preset = presets.load("minilm")
    return runs.create(store, name, preset=preset, dataset=data, seed=0, now=datetime.now(UTC))


def test_doctor_says_in_words_what_colours_say_too():
    def show(out: Output) -> None:
        machine.findings(out, FOUND)

    coloured, plain = drawn(show), drawn(show, NO_COLOR="1")
    for words, colour in (("good", "32"), ("worth knowing", "33"), ("must be mended", "1;31")):
        assert f"\x1b[{colour}m{words}" in coloured
    assert not re.search(r"\x1b\[(1;)?3\d", plain)
    assert without_colours(coloured) == without_colours(plain)
    lines = without_colours(plain).splitlines()
    assert lines[-1] == "1 must be mended, 1 worth knowing, 1 good"
    at = {name: next(n for n, line in enumerate(lines) if name in line) for name in ("0.2", "3.11")}
    assert at["0.2"] > at["3.11"]  # the worst is nearest to the end, which stays in view


@pytest.mark.parametrize(("left", "colour"), [("20h", "32"), ("2h", "33"), ("0h", "1;31")])
def test_quota_says_in_figures_what_colours_say_too(left: str, colour: str):
    note_left("kaggle", "gpu", left, None, None, None, None)

    def show(out: Output) -> None:
        bars.show(out, look(platform="kaggle", is_offline=True))

    coloured, plain = drawn(show), drawn(show, NO_COLOR="1")
    assert re.search(rf"\x1b\[{colour}m{left[:-1]}\.0 h of 30\.0 h left", coloured)
    assert not re.search(r"\x1b\[(1;)?3\d", plain)
    assert f"{left[:-1]}.0 h of 30.0 h left" in plain


def test_no_runs_and_no_hours_say_what_to_do(said):
    assert "Next: agnews auto" in said("runs")
    assert said("runs", "--json").strip() == "[]"
    assert "agnews quota log kaggle gpu 3.5h" in said("quota", "history")
    assert "Noted: 3.5 h" in said("quota", "log", "kaggle", "gpu", "3.5h")  # as it was told


def test_no_checkpoints_say_why_and_what_follows(said, tmp_path):
    folder = begin(tmp_path / "agnews-runs")
    for command in ("ls", "verify"):
        assert f"it begins anew with: agnews resume {folder.id}" in said("checkpoints", command)
    assert said("checkpoints", "ls", "--json").strip() == "[]"
    folder.outcome.write_text(Outcome(state="completed").model_dump_json())
    assert f"Its result: agnews runs show {folder.id}" in said("checkpoints", "ls")


def test_status_names_the_command_that_follows_wherever_the_run_lies(said, tmp_path):
    folder = begin(tmp_path / "agnews-runs")
    assert f"next    agnews resume {folder.id}" in said("status")
    other = begin(tmp_path / "my runs", "minilm-9876543210")
    shown = said("status", "--store", str(other.path.parent))
    assert f"agnews resume '{other.path}'" in " ".join(shown.split())


EVIL = "\x1b]0;PWN\x07\x1b[2J\u202egpj\x9b31m\x08\r"
"""A title for the window, a cleared screen, a word that reads backwards, a colour, a step back."""


@pytest.mark.parametrize(
    "command",
    [
        ("auto", "DATA", "--dry-run", "--store", "STORE"),
        ("plan", "DATA"),
        ("runs", "--store", "STORE"),
        ("runs", "show", "latest", "--store", "STORE"),
        ("status", "latest", "--store", "STORE"),
        ("checkpoints", "ls", "latest", "--store", "STORE"),
        ("checkpoints", "pull", "latest", "--store", "STORE", "--store", "DATA"),
        ("predict", "EVIL", "EVIL", "--store", "STORE"),
        ("presets", "show", "EVIL"),
        ("quota", "log", "EVIL", "gpu", "1h"),
        ("notebook", "kaggle", "DATA", "-o", "STORE/n.ipynb"),
        ("EVIL",),
        ("runs", "--EVIL"),
    ],
    ids=lambda command: " ".join(command[:2]),
)
def test_no_name_of_a_stranger_moves_the_terminal(agnews, tmp_path, command):
    name = EVIL.replace("/", "")
    data, store = tmp_path / f"data{name}.csv", tmp_path / f"store{name}"
    rows = (f'"the {word} {EVIL} {n}","{word}{EVIL}"' for n in range(40) for word in ("a", "b"))
    data.write_text("text,label\n" + "\n".join(rows) + "\n")
    begin(store)
    given = {"DATA": data, "STORE": store, "STORE/n.ipynb": store / "n.ipynb", "EVIL": f"x{name}"}
    ended = agnews(*(given.get(word, word.replace("EVIL", f"x{name}")) for word in command))
    assert ended.code in (0, 2, 66, 74, 78), ended.err
    shown = ended.out + ended.err
    assert shown.strip()
    assert not re.search(r"[\x1b\x07\x08\x9b\u202e]", shown), shown
