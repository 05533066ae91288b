"""The notebooks that `agnews notebook` writes: valid, executed by real kernels, and run again."""

from __future__ import annotations

import json
import re
import shutil
import time
from importlib import metadata
from pathlib import Path

import nbformat
import pytest
import yaml
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from agnews_cli.cli.main import main
from agnews_cli.core.graph.asked import singles
from agnews_cli.store.settings import preset_shapes, presets
from agnews_cli.workflows.elsewhere.notebook import NotebookOrder, write
from agnews_cli.workflows.elsewhere.notebook import notebook as made
from agnews_cli.workflows.wizard.questions import Way
from agnews_cli.workflows.wizard.surroundings import look_around
from tests import tiny

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
    assert train == "%agnews auto --data '/data/a $$TABLE {{of}} mine.csv' --preset minilm"
    assert notebook.metadata["accelerator" if place == "colab" else "kaggle"]


def test_the_tracker_that_is_asked_for_is_installed_with_it(tmp_path, capsys):
    path = tmp_path / "x.ipynb"
    assert written(capsys, "colab", "--track", "wandb", "-o", str(path)) == 0
    notebook = nbformat.read(path, as_version=4)
    install = next(cell.source for cell in notebook.cells if cell.id == "install")
    assert "[train,embedded,wandb]" in install


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
    (pins,) = tmp_path.glob("tmp*/agnews-constraints.txt")
    assert f"'--constraint', '{pins}', '{source}'" in shown
    assert f"torch=={metadata.version('torch')}" in pins.read_text().splitlines()


# ---- executed ------------------------------------------------------------------------------------


@pytest.fixture
def small(tmp_path: Path, capsys) -> tuple[str, ...]:
    """Options for a run of seconds."""
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
    preset["name"], preset["model"] = "small", {
        "id": str(tiny.make(tmp_path / "base")), "parameters": 20_000, "licence": "mit",
    }  # fmt: skip
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
    shutil.copy(tmp_path / "small.csv", notebooks.folder)  # uploaded
    first = execute(kaggle, notebooks, python)
    second = execute(kaggle, notebooks, python)
    third = execute(colab, notebooks, python)
    for notebook in (first, second, third):
        shown = text_of(notebook)
        assert re.search(r"small-\w+\s+completed", shown), shown
        assert "The striker scored twice" in shown
        assert "\x1b" not in json.dumps(notebook) and "\\u001b" not in json.dumps(notebook)
        cells = [cell for cell in notebook.cells if cell.id != "package"]
        assert len(json.dumps(cells)) < 50_000
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


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a user sits, with data whose columns have odd names, and a preset of their own."""
    folder, home = tmp_path / "desk", tmp_path / "my-home"
    (home / "presets").mkdir(parents=True)
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("AGNEWS_HOME", str(home))
    rows = [f"{text},{text} at last,{label},{label}" for text, label in tiny.rows(2, 40)]
    Path("own.csv").write_text("\n".join(["of,it,team,crew", *rows]))
    preset = yaml.safe_load(presets.text("minilm"))
    preset["name"], preset["model"] = "tiny", {
        "id": str(tiny.make(tmp_path / "base")), "parameters": 20_000, "licence": "mit",
    }  # fmt: skip
    preset["training"] |= {"epochs": 1, "r_drop": 0, "least_steps": 0, "yardstick": False}
    preset["data"] |= {"cross_validated_below": 0}
    (home / "presets" / "tiny.yaml").write_text(yaml.safe_dump(preset))
    return folder


@pytest.mark.train
@pytest.mark.parametrize("place", [pytest.param("colab", marks=pytest.mark.slow), "kaggle"])
def test_the_wizards_notebook_runs_on_a_machine_that_nobody_has_used(
    notebooks, desk, place, empty_python, tmp_path
):
    pytest.importorskip("torch")
    answers = {"goal": "speed", "data": "own.csv", "text_column": "it", "label_column": "crew"}
    answers |= {"machine": place, "preset": "tiny"}
    if place == "colab":
        answers["store"] = "agnews-runs"  # and not Drive, which nothing here can mount
    walk = Way(look_around("answers.yaml", may_ask_hub=False))
    while (question := walk.question()) is not None:
        walk = walk.answered(answers.get(question.key, question.default))
    (path,) = write(walk.ready_notebook, force=False)
    shutil.copy("own.csv", notebooks.folder)  # uploaded
    standins = str(Path(__file__).parent / "standins")
    env = {"PYTHONPATH": standins, "AGNEWS_INSTALL": "", "AGNEWS_STORE": "", "PIP_NO_INDEX": "1"}
    env |= {"AGNEWS_PLATFORM": "colab"} if place == "colab" else {}
    env |= {"AGNEWS_SESSION_STARTED": str(time.time())}  # this machine may run for days
    done = execute(desk / path, notebooks, empty_python, AGNEWS_HOME=str(tmp_path / "h"), **env)
    train = next(cell for cell in done.cells if cell.id == "train")
    for option in ("--goal speed", "--data own.csv", "--text-column it", "--label-column crew"):
        assert option in train.source
    shown = text_of(done)
    assert re.search(r"tiny-\w+\s+completed", shown), shown
    assert "The striker scored twice" in shown
    installed = tuple(empty_python.parents[1].glob("lib/python3*/site-packages/agnews_cli*"))
    assert any((path / "presets" / "minilm.yaml").is_file() for path in installed)
    for path in installed:  # empty again
        shutil.rmtree(path)


def test_data_are_found_among_inputs_and_asked_for_where_they_are_not(tmp_path, capsys, desk):
    path = tmp_path / "x.ipynb"
    assert written(capsys, "kaggle", "--data", "own.csv", "-o", str(path)) == 0
    cells = {cell.id: cell.source for cell in nbformat.read(path, as_version=4).cells}
    assert "`own.csv`" in cells["about"]
    code = cells["data"].replace("/kaggle/input", str(tmp_path / "input"))
    (desk / "own.csv").rename(tmp_path / "own.csv")
    with pytest.raises(FileNotFoundError, match="Add Input"):
        exec(code, {})
    (tmp_path / "input" / "some" / "set").mkdir(parents=True)
    (tmp_path / "own.csv").rename(tmp_path / "input" / "some" / "set" / "own.csv")
    exec(code, {})
    assert (desk / "own.csv").read_text().startswith("of,it")
    exec(code, {})  # again, as "Run all" does


def test_a_cell_that_fails_stops_run_all(notebooks, tmp_path, capsys, stock_python):
    path = tmp_path / "x.ipynb"
    assert written(capsys, "kaggle", "--data", "/not/there.csv", "-o", str(path)) == 0
    with pytest.raises(CellExecutionError, match="agnews auto ended with exit code 66"):
        execute(path, notebooks, stock_python)


def test_a_preset_of_several_models_is_carried_with_all_that_it_names(desk, tmp_path):
    """The users' own presets are not where the notebook runs."""
    members = "members: [{preset: tiny}, {preset: tiny, seed: 1}]\n"
    head = "name: both\ntier: ensemble\nsummary: s\norder: 1\n"
    Path("both.yaml").write_text(head + members)
    order = NotebookOrder("colab", tmp_path / "n.ipynb", "both.yaml", ("--preset", "both.yaml"))
    cells = {cell["id"]: "".join(cell["source"]) for cell in made(order)["cells"]}
    first, text = cells["preset"].split("\n", 1)
    assert first == "%%writefile both.yaml" and "%agnews auto --preset both.yaml" in cells["train"]
    (tmp_path / "there.yaml").write_text(text)
    meant = preset_shapes.load(str(tmp_path / "there.yaml"))
    (tmp_path / "my-home" / "presets" / "tiny.yaml").unlink()
    assert preset_shapes.load(str(tmp_path / "there.yaml")) == meant
    assert [one.name for one in singles(meant)] == ["tiny", "tiny"]


def test_a_preset_that_extends_another_of_the_users_is_carried_whole(tmp_path, monkeypatch):
    """Where the notebook runs there is neither of them."""
    monkeypatch.setenv("AGNEWS_HOME", str(tmp_path / "home"))
    folder = tmp_path / "home" / "presets"
    folder.mkdir(parents=True)
    (folder / "base.yaml").write_text("name: base\nextends: minilm\ntraining: {epochs: 7}\n")
    (folder / "mine.yaml").write_text("name: mine\nextends: base\n")
    order = NotebookOrder("colab", tmp_path / "n.ipynb", "mine", ("--preset", "mine"))
    cells = json.dumps(made(order))
    assert "epochs: 7.0" in cells and "extends" not in cells
