"""A tracker beside a session: it is told once what fails, and nothing waits for it."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from agnews_cli.errors import ExtraMissing
from agnews_cli.store.run import tracked
from agnews_cli.store.run.runs import RunFolder
from agnews_cli.workflows.sessions import tracking
from agnews_cli.workflows.train.scene import Request, require_sense
from tests.workflows.test_stores import run, texts, train  # noqa: F401  (a fixture)

FINE = """
class Settings:
    def __init__(self, **_): ...
class Run:
    resumed, summary, dir, url = False, {}, "files/one", "there"
    def define_metric(self, *_, **__): ...
    def log(self, row): open(LOG, "a").write(str(row) + "\\n")
    def finish(self, **_): ...
def init(*, id, **_):
    open(LOG, "a").write(id + "\\n")
    return Run()
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A package `wandb` of some lines, in the process that tracks."""

    def write(code: str) -> Path:
        (tmp_path / "fake").mkdir(exist_ok=True)
        log = tmp_path / "log"
        (tmp_path / "fake" / "wandb.py").write_text(f"LOG = {str(log)!r}\n{code}")
        root = str(Path(__file__).parents[2])
        monkeypatch.setenv("PYTHONPATH", f"{tmp_path / 'fake'}:{root}")
        monkeypatch.setenv("WANDB_MODE", "offline")
        return log

    return write


def test_what_fails_is_said_once_and_the_run_goes_on(run: RunFolder, monkeypatch, package):  # noqa: F811
    package("print('hello')\ndef init(**_): raise OSError('no such project')\nclass Settings:\n"
            "    def __init__(self, **_): ...")  # fmt: skip
    seen, error = train(run, (), monkeypatch, track="wandb", delay_s=0.2)
    assert error is None
    assert texts(seen, "warning").count("OSError: no such project; the run goes on") == 1
    assert "hello" in (run.path / "tracking.log").read_text()


def test_what_dies_is_said_once_and_the_run_goes_on(run: RunFolder, monkeypatch, package):  # noqa: F811
    package("import os\nos.kill(os.getpid(), 9)")
    seen, error = train(run, (), monkeypatch, track="wandb", delay_s=0.2)
    assert error is None
    assert texts(seen, "warning").count("--track wandb ended by itself") == 1


def test_nobody_waits_for_what_hangs(run: RunFolder, monkeypatch, package):  # noqa: F811
    package("import time\ntime.sleep(60)")
    monkeypatch.setattr(tracking, "_LAST_S", 0.2)
    began_s = time.monotonic()
    seen, error = train(run, (), monkeypatch, track="wandb")
    assert error is None
    assert time.monotonic() - began_s < 20
    assert "--track wandb was not told all" in texts(seen, "warning")


def test_a_run_keeps_its_name_and_one_made_anew_gets_another(run, monkeypatch, package):  # noqa: F811
    log = package(FINE)
    train(run, (), monkeypatch, track="wandb", session_s=0.3)
    train(run, (), monkeypatch, track="wandb")
    assert set(log.read_text().split()) == {run.id}
    train(run, (), monkeypatch, track="wandb", is_fresh=True)
    newest = log.read_text().split()[-1]
    assert newest.startswith(f"{run.id}-again-")
    assert tracked.read(run)["wandb"].name == newest


def test_a_package_that_is_missing_is_said_before_anything_is_looked_at(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ExtraMissing) as error:
        require_sense(Request.of(data=str(tmp_path / "none"), track="mlflow"))
    assert error.value.advice == "pip install 'agnews-cli[mlflow]'"


def test_a_folder_of_that_name_is_no_package(tmp_path, monkeypatch):
    (tmp_path / "wandb").mkdir()
    monkeypatch.setattr("sys.path", [str(tmp_path)])
    monkeypatch.delitem(__import__("sys").modules, "wandb", raising=False)
    with pytest.raises(ExtraMissing):
        tracking.require("wandb")
