"""The notebooks that `agnews notebook` writes: valid, executed by real kernels, and run again."""

from __future__ import annotations

import json
import re
from importlib import metadata
from pathlib import Path

import nbformat
import pytest
import yaml
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from agnews_cli.cli.main import main

WORDS = {
    "sport": ["the team won the match", "a goal in the last minute", "the coach of the club"],
    "trade": ["shares fell on the market", "the bank raised its rates", "profit of the company"],
}


def written(capsys, *arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["notebook", *arguments])
    return int(ended.value.code or 0)


def text_of(notebook) -> str:
    """All that the notebook shows below its cells."""
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    texts = [o.get("text") or o.get("data", {}).get("text/plain") or "" for o in outputs]
    return "\n".join(texts)


@pytest.mark.parametrize("place", ["colab", "kaggle"])
def test_a_notebook_is_valid_and_says_what_was_asked_for(tmp_path, capsys, place):
    path = tmp_path / "x.ipynb"
    data = "/data/a $TABLE {of} mine.csv"
    assert written(capsys, place, "--preset", "minilm", "--data", data, "-o", str(path)) == 0
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    train = next(cell.source for cell in notebook.cells if cell.id == "train")
    assert train == "%agnews auto --preset minilm --data '/data/a $$TABLE {{of}} mine.csv'"
    assert notebook.metadata["accelerator" if place == "colab" else "kaggle"]


def test_what_is_there_is_not_written_over(tmp_path, capsys):
    path = tmp_path / "mine.ipynb"
    path.write_text("my own work")
    assert written(capsys, "colab", "-o", str(path)) == 73
    assert "--force" in capsys.readouterr().err
    assert path.read_text() == "my own work"
    assert written(capsys, "colab", "-o", str(path), "--force") == 0


def test_an_unknown_preset_is_refused_before_anything_is_written(tmp_path, capsys):
    path = tmp_path / "x.ipynb"
    assert written(capsys, "kaggle", "--preset", "minillm", "-o", str(path)) == 78
    assert not path.exists()


def test_a_push_order_is_for_kaggle(tmp_path, capsys):
    path = tmp_path / "my-news.ipynb"
    assert written(capsys, "colab", "--kaggle-user", "me", "-o", str(path)) == 2
    assert written(capsys, "kaggle", "--kaggle-user", "me", "-o", str(path)) == 0
    order = json.loads((tmp_path / "kernel-metadata.json").read_text())
    assert order["id"] == "me/my-news"
    assert order["code_file"] == "my-news.ipynb"
    assert order["machine_shape"] == "NvidiaTeslaT4"


@pytest.mark.train
def test_what_the_machine_has_of_torch_is_pinned(tmp_path, capsys, notebooks, stock_python):
    source = tmp_path / "package"
    path = tmp_path / "x.ipynb"
    assert written(capsys, "colab", "-o", str(path)) == 0
    install = next(c.source for c in nbformat.read(path, 4).cells if c.id == "install")
    told = "import subprocess; subprocess.run = lambda command, check: print('pip:', command)"
    kernel = notebooks.start(stock_python, told, AGNEWS_INSTALL=str(source), TMPDIR=str(tmp_path))
    shown = kernel.run(install).text
    pins = tmp_path / "agnews-constraints.txt"
    assert f"'--constraint', '{pins}', '{source}'" in shown
    assert f"torch=={metadata.version('torch')}" in pins.read_text().splitlines()


# ---- executed ------------------------------------------------------------------------------------


@pytest.fixture
def small(tmp_path: Path, capsys) -> tuple[str, ...]:
    """Options for a run of half a minute."""
    rows = [
        f"{text} number {n},{label}"
        for n in range(16)
        for label, ts in WORDS.items()
        for text in ts
    ]
    data = tmp_path / "small.csv"
    data.write_text("\n".join(["text,label", *rows]))
    with pytest.raises(SystemExit):
        main(["presets", "show", "minilm"])
    preset = yaml.safe_load(capsys.readouterr().out)
    preset["name"] = "small"
    preset["training"] |= {"epochs": 1, "r_drop": 0, "least_steps": 0, "yardstick": False}
    preset["data"] |= {"cross_validated_below": 0}
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(preset))
    return ("--preset", str(tmp_path / "small.yaml"), "--data", str(data))


def execute(path: Path, notebooks, python: Path, **env: str):
    """The notebook after "Run all"."""
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook,
        kernel_name=notebooks.spec(python),
        resources={"metadata": {"path": str(notebooks.folder)}},
        timeout=300,
        store_widget_state=False,
    )
    client.execute(env=notebooks.env | env)
    nbformat.validate(notebook)
    return notebook


def story(notebooks, small, capsys, tmp_path, python: Path) -> None:
    """Kaggle's notebook trains; run again, it recognises the run; so does Colab's, elsewhere."""
    kaggle, colab = tmp_path / "kaggle.ipynb", tmp_path / "colab.ipynb"
    assert written(capsys, "kaggle", *small, "-o", str(kaggle)) == 0
    assert written(capsys, "colab", *small, "-o", str(colab)) == 0
    first = execute(kaggle, notebooks, python)
    second = execute(kaggle, notebooks, python)
    third = execute(colab, notebooks, python)
    for notebook in (first, second, third):
        shown = text_of(notebook)
        assert re.search(r"small-\w+\s+completed", shown), shown
        assert "The striker scored twice" in shown
        assert "\x1b" not in json.dumps(notebook) and "\\u001b" not in json.dumps(notebook)
        assert len(json.dumps(notebook)) < 50_000
    assert "trained small" in text_of(first)
    assert "trained small" not in text_of(second) + text_of(third)
    assert "examples/s" not in text_of(first)  # the line of progress is gone with the training
    assert len(list(notebooks.folder.glob("agnews-runs/small-*"))) == 1


@pytest.mark.train
def test_run_all_is_run_again(notebooks, small, capsys, tmp_path, stock_python):
    pytest.importorskip("torch")
    story(notebooks, small, capsys, tmp_path, stock_python)


@pytest.mark.train
@pytest.mark.slow
def test_run_all_is_run_again_in_colabs_kernel(notebooks, small, capsys, tmp_path, colab_python):
    pytest.importorskip("torch")
    story(notebooks, small, capsys, tmp_path, colab_python)


def test_a_cell_that_fails_stops_run_all(notebooks, tmp_path, capsys, stock_python):
    path = tmp_path / "x.ipynb"
    assert written(capsys, "kaggle", "--data", "/not/there.csv", "-o", str(path)) == 0
    with pytest.raises(CellExecutionError, match="agnews auto ended with exit code 66"):
        execute(path, notebooks, stock_python)
