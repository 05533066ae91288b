"""What Tab offers in bash, zsh and fish, asked as the shells ask."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer import _completion_classes as classes
from typer import core

from agnews_cli.cli.main import main

Tab = Callable[..., list[str]]
HEAVY = {"pydantic", "rich", "yaml", "huggingface_hub", "psutil", "sqlite3", "torch"}


@pytest.fixture
def tab(capsys: pytest.CaptureFixture[str], monkeypatch, tmp_path: Path) -> Tab:
    """The answers in a shell, each without its help; `line` ends where the cursor is."""
    monkeypatch.chdir(tmp_path)
    # An answer ends its process; here the next test goes on with what it leaves out of Typer.
    for module, name in ((core, "build_runtime_param"), (classes, "_sanitize_help_text")):
        monkeypatch.setattr(module, name, getattr(module, name))

    def answers(line: str, shell: str = "bash") -> list[str]:
        for name, value in asked(line, shell).items():
            monkeypatch.setenv(name, value)
        with pytest.raises(SystemExit) as ended:
            main([])
        assert not ended.value.code
        out = capsys.readouterr().out
        if shell == "zsh":
            return out.split('"')[1::4] if '":"' in out else out.split('"')[1::2]
        return [answer.partition("\t")[0] for answer in out.splitlines() if answer]

    return answers


def asked(line: str, shell: str) -> dict[str, str]:
    words = line.split()
    at = len(words) - (not line.endswith(" "))
    return {
        "_AGNEWS_COMPLETE": f"complete_{shell}",
        "COMP_WORDS": line,
        "COMP_CWORD": str(at),
        "_TYPER_COMPLETE_ARGS": line,
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
    }


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_commands_and_options_and_values(tab: Tab, shell: str) -> None:
    assert tab("agnews pl", shell) == ["platform", "plan"]
    assert "auto" in tab("agnews ", shell)
    assert tab("agnews quota h", shell) == ["history"]
    assert tab("agnews auto --bud", shell) == ["--budget"]
    assert tab("agnews auto --goal b", shell) == ["balanced"]
    assert tab("agnews auto --preset m", shell)[:2] == ["minilm", "minilm-from-ensemble"]
    assert tab("agnews plan --on kaggle+colab-f", shell) == ["kaggle+colab-free"]
    assert "hf://" in [
        answer.replace("\\\\:", ":") for answer in tab("agnews auto --store ", shell)
    ]


def test_own_presets_are_among_them(tab: Tab, own_home: Path) -> None:
    folder = own_home / "data" / "presets"
    folder.mkdir(parents=True)
    (folder / "mine.yaml").write_text("whatever: it is not read")
    assert tab("agnews presets show mine") == ["mine"]
    (folder / "ensemble").mkdir()
    (folder / "ensemble" / "mine-too.yaml").write_text("")
    assert tab("agnews auto --preset mine") == ["mine", "mine-too"]
    assert tab("agnews plan --preset minilm-from-mp") == ["minilm-from-mpnet"]


def test_runs_the_newest_first_in_the_store_that_is_meant(tab: Tab, tmp_path: Path) -> None:
    for store, name, age_s in (("agnews-runs", "a-1", 9), ("agnews-runs", "a-2", 1), ("b", "c", 1)):
        folder = tmp_path / store / name
        folder.mkdir(parents=True)
        made = folder / "created.json"
        made.write_text("{}")
        os.utime(made, (made.stat().st_mtime - age_s,) * 2)
    (tmp_path / "agnews-runs" / "ledger").mkdir()
    (tmp_path / "agnews-runs" / "a-2" / "evaluation.json").write_text("{}")
    assert tab("agnews status ") == ["latest", "a-2", "a-1"]
    assert tab("agnews resume ") == ["a-1"], "those that are not finished"
    assert tab("agnews predict a-") == ["a-2", "a-1"]
    assert tab("agnews status --store b ") == ["latest", "c"]
    assert tab("agnews status --store none ") == ["latest"]


@pytest.mark.parametrize("line", ["auto --data x.EXT --text-column ", "auto x.EXT --text-column "])
def test_columns_of_the_table_that_is_named(tab: Tab, tmp_path: Path, line: str) -> None:
    (tmp_path / "x.tsv").write_text('title\t"the body"\tkind\n1\t2\t3\n')
    (tmp_path / "x.jsonl").write_text(json.dumps({"text": "a", "label": "b"}) + "\n")
    (tmp_path / "x.csv").write_bytes(b"\xff\xfe\x00 no text")
    assert tab(f"agnews {line}".replace("EXT", "tsv")) == ["title", "the body", "kind"]
    assert tab(f"agnews {line}l".replace("EXT", "jsonl")) == ["label"]
    assert tab(f"agnews {line}".replace("EXT", "csv")) == []


def test_an_answer_imports_nothing_slow(tmp_path: Path) -> None:
    """It comes within 0.3 s, which half a dozen libraries would use up."""
    code = (
        "import sys, atexit\n"
        "atexit.register(lambda: print(*sorted({m.split('.')[0] for m in sys.modules})))\n"
        "from agnews_cli.cli.main import main\n"
        "main([])"
    )
    for line, shell in (("agnews auto --preset ", "zsh"), ("agnews status ", "fish")):
        done = subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | asked(line, shell),
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
        )
        loaded = set(done.stdout.splitlines()[-1].split())
        assert "agnews_cli" in loaded
        assert not loaded & HEAVY


def test_base_models_are_those_of_the_catalogue(tab: Tab) -> None:
    from agnews_cli.store.settings import catalogue

    assert tab("agnews models show deberta-v3-b") == ["deberta-v3-base"]
    assert set(tab("agnews models show ")) == set(catalogue.load().models)
