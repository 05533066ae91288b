"""Help: what a stranger reads first, in groups, within a terminal of 80 columns, and true."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Callable

import pytest
import typer
from typer.main import get_command

from agnews_cli.cli import main as whole
from agnews_cli.cli.main import app, main

Say = Callable[..., str]


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Say:
    """What the command prints on standard output; it ends well."""

    def said(*arguments: str) -> str:
        with pytest.raises(SystemExit) as ended:
            main(list(arguments))
        assert not ended.value.code
        return capsys.readouterr().out

    return said


def every_command() -> list[tuple[str, ...]]:
    """The words of each command and group, such as ("quota", "log")."""
    found: list[tuple[str, ...]] = []
    context = typer.Context(get_command(app))
    for name in get_command(app).list_commands(context):
        found.append((name,))
        part = get_command(app).get_command(context, name)
        found += [(name, inner) for inner in getattr(part, "commands", ())]
    return found


COMMANDS = every_command()


def test_the_first_page_names_every_command_in_a_group_and_fits_a_screen(say: Say) -> None:
    page = say("--help")
    assert page == say("-h") == say()
    lines = page.splitlines()
    assert len(lines) <= 48
    for title, panel in whole._PANELS.items():
        at = lines.index(title)
        for name, part in panel.items():
            at += 1
            assert lines[at].split(maxsplit=1) == [name, part.summary]
    assert {name for name, *_ in COMMANDS} == {n for p in whole._PANELS.values() for n in p}


@pytest.mark.parametrize("words", [(), *COMMANDS], ids=" ".join)
def test_a_page_fits_eighty_columns_and_says_what_the_command_is_for(say: Say, words) -> None:
    page = say(*words, "-h")
    assert page == say(*words, "--help")
    assert page.startswith(f"Usage: {' '.join(('agnews', *words))} ")
    assert max(map(len, page.splitlines())) <= 80, page
    assert not re.search(r"<\w+|\[default|INTEGER| TEXT\b|\bx>=", page), "in words, not in types"
    assert "-h, --help" in page


def test_what_must_be_given_is_in_the_usage_line(say: Say) -> None:
    usage = say("distill", "-h").partition("\n\n")[0]
    assert "--teacher RUN|FOLDER|FILE --student PRESET" in usage


def examples(page: str) -> list[str]:
    return [
        line.partition("  # ")[0].strip() for line in page.partition("\nExamples\n")[2].splitlines()
    ]


@pytest.mark.parametrize(
    "words",
    [w for w in COMMANDS if w not in {("checkpoints",), ("presets",), ("models",), ("launch",)}],
    ids=" ".join,
)
def test_its_examples_can_be_pasted(say: Say, words) -> None:
    """Each is read by the real parser, to the end: nothing in it is unknown or missing."""
    found = examples(say(*words, "-h"))
    assert 1 <= len(found) <= 4
    for line in found:
        pasted = shlex.split(line.rpartition("| ")[2].partition(" > ")[0])
        assert pasted[0] == "agnews"
        context, command, rest = None, get_command(app), pasted[1:]
        while hasattr(command, "commands") and rest and rest[0] in command.commands:
            context = typer.Context(command, parent=context, info_name=rest[0])
            command, rest = command.get_command(context, rest[0]), rest[1:]
        command.make_context(pasted[1], rest, parent=context).close()


def test_options_of_training_are_shown_in_groups(say: Say) -> None:
    page = say("auto", "-h")
    titles = [line for line in page.splitlines() if line and line[0].isupper() and "  " not in line]
    for title in ("Data", "Model and training", "Time and budget", "Stores and resume", "Output"):
        assert title in titles
    data = page.partition("\nData\n")[2].partition("\n\n")[0]
    assert "--text-column NAME" in data and "--budget" not in data
    assert "64 tokens" in " ".join(page.split()), "what --batch-size means"


def test_a_page_in_a_pipe_has_no_escapes_and_on_a_terminal_its_titles_are_bold(
    say: Say, monkeypatch
) -> None:
    assert "\x1b" not in say("auto", "-h")
    monkeypatch.setattr(type(sys.stdout), "isatty", lambda _: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b[1mData" in say("auto", "-h")
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in say("auto", "-h")
