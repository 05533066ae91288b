"""A launch from end to end: the real command, Kaggle's client, a stand-in whose kernels run."""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nbformat
import pytest
import yaml
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

pytest.importorskip("kaggle", reason="the official client drives all of this")

from agnews_cli.host.launcher import REPORT, STORE
from agnews_cli.store.run.launches import Launches
from agnews_cli.store.settings import presets
from agnews_cli.workflows.launch import carry
from tests import tiny
from tests.launching import Clock, client_at, plan
from tests.servers.kaggle_kernels import Behaviour, StandInKernels

pytestmark = pytest.mark.train

INPUTS_SITE = """\
# Found by every Python of a machine: its inputs lie elsewhere than Kaggle's.
import os, pathlib
if folder := os.environ.get("STANDIN_INPUT"):
    from agnews_cli.store.remotes import kaggle
    kaggle.INPUT = pathlib.Path(folder)
"""


class Machine:
    """Runs what is pushed, at once, with folders of its own in the place of Kaggle's."""

    def __init__(self, notebooks: Any, python: Path, root: Path) -> None:
        self.notebooks, self.python, self.root = notebooks, python, root
        self.kaggle: StandInKernels
        self.hours: list[str] = []
        """What the sessions are told of their length; the rest is told what was pushed."""
        self.shown: list[str] = []

    def __call__(self, order: Mapping[str, Any]) -> Behaviour:
        machine = self.root / str(order["slug"]).partition("/")[2]
        working, inputs = machine / "kaggle" / "working", machine / "kaggle" / "input"
        working.mkdir(parents=True)
        for source in order.get("kernelDataSources", ()):
            files = self.kaggle.kernels[source].behaviour.files
            lay(files, inputs / source.partition("/")[2])
        for source in order.get("datasetDataSources", ()):
            lay(self.kaggle.served(source), inputs / source.partition("/")[2])
        text = str(order["text"]).replace("/kaggle/", f"{machine}/kaggle/")
        text = text.replace("/tmp/agnews-runs", f"{machine}/runs")
        if self.hours:
            text = re.sub(r"--session-hours [\d.]+", f"--session-hours {self.hours.pop(0)}", text)
        notebook = nbformat.reads(text, 4)
        client = NotebookClient(
            notebook,
            kernel_name=self.notebooks.spec(self.python),
            resources={"metadata": {"path": str(working)}},
            timeout=300,
        )
        word = "COMPLETE"
        (machine / "sitecustomize.py").write_text(INPUTS_SITE)
        home = {"AGNEWS_HOME": str(machine / "home"), "AGNEWS_INSTALL": "no", "AGNEWS_STORE": ""}
        path = f"{machine}:{self.notebooks.env['PYTHONPATH']}"
        home |= {"STANDIN_INPUT": str(inputs), "PYTHONPATH": path}
        try:
            client.execute(env=self.notebooks.env | home)
        except CellExecutionError:
            word = "ERROR"
        outputs = [o for cell in notebook.cells for o in cell.get("outputs", ())]
        texts = [o.get("text") or o.get("data", {}).get("text/plain") or "" for o in outputs]
        self.shown.append("\n".join(texts))
        wanted = [p for p in working.rglob("*") if p.is_file() and not p.is_symlink()]
        left = {p.relative_to(working).as_posix(): p.read_bytes() for p in wanted}
        return Behaviour(0.0, word, files=left)


def lay(files: Mapping[str, bytes] | None, folder: Path) -> None:
    assert files
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


@pytest.fixture
def own(tmp_path: Path) -> tuple[str, ...]:
    """Options for a small run on a table of this disk."""
    data = tmp_path / "own.csv"
    tiny.write(data, tiny.rows(2, 60))
    preset = yaml.safe_load(presets.text("minilm"))
    preset["name"], preset["model"] = "tiny", {
        "id": str(tiny.make(tmp_path / "base")), "parameters": 20_000, "licence": "mit",
    }  # fmt: skip
    preset["training"] |= {"epochs": 1, "r_drop": 0, "least_steps": 0, "yardstick": False}
    preset["data"] |= {"cross_validated_below": 0}
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(preset))
    return ("--data", str(data), "--preset", str(tmp_path / "tiny.yaml"))


@pytest.fixture
def machine(notebooks, stock_python, tmp_path: Path):
    made = Machine(notebooks, stock_python, tmp_path / "kaggles")
    made.kaggle = StandInKernels(made)
    yield made
    made.kaggle.stop()


def launched(agnews, machine: Machine, tmp_path: Path, *words: str, again: tuple[int, ...] = ()):
    """`agnews launch kaggle … --once`, typed until it has nothing more to wait for."""
    env = machine.kaggle.point(tmp_path / "site")
    path = f"{tmp_path / 'site'}:{Path(__file__).parents[2]}"
    for _ in range(30):
        ended = agnews("launch", "kaggle", *words, "--once", PYTHONPATH=path, **env)
        if ended.code not in (75, *again):
            return ended
        time.sleep(0.2)
    raise AssertionError(ended.err)


def test_a_run_trains_there_and_comes_home(
    machine, own, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, said = Clock(), []
    machine.kaggle.now_s = clock
    monkeypatch.chdir(tmp_path)
    with client_at(machine.kaggle, monkeypatch) as ask:
        done = carry.carry_out(plan(ask, clock, data=own[1], preset=own[3]), said.append)
    assert re.fullmatch(r"tiny-\w{10}", done.run), machine.shown
    assert [each.end for each in done.record.sessions] == ["finished"]
    assert (done.folder / "delivery.json").exists()
    (start,) = machine.kaggle.starts
    left = {name.partition("/")[0] for name in start.behaviour.files}
    assert left == {REPORT, STORE, "tiny.yaml"}  # the preset that was carried


@pytest.mark.slow
def test_sessions_go_on_where_the_one_before_stood_by_the_real_command(
    agnews, machine, own, tmp_path: Path
) -> None:
    preset = yaml.safe_load(Path(own[3]).read_text())
    preset["training"]["epochs"] = 10
    Path(own[3]).write_text(yaml.safe_dump(preset))
    tiny.write(Path(own[1]), tiny.rows(2, 12000))
    machine.hours = ["0.02", "0.02", "1"]
    done = launched(agnews, machine, tmp_path, *own, "--save-every", "2s", "--json")
    assert done.code == 0, (done.err, machine.shown)
    run = done.json["run"]
    ends = [each["end"] for each in done.json["sessions"]]
    assert len(ends) > 1
    assert set(ends[:-1]) == {"paused"} and ends[-1] == "finished"
    assert "resumed" in machine.shown[-1] or "goes on" in machine.shown[-1], machine.shown[-1]
    assert agnews("status", run, "--json").json["state"] == "completed"
    predicted = agnews("predict", run, "the goal of a match and one", "--json")
    assert predicted.code == 0, predicted.err
    shutil.rmtree(machine.root)
    again = launched(agnews, machine, tmp_path, *own, "--save-every", "2s", "--json")
    assert again.json["run"] == run
    assert json.loads(agnews("launch", "ls", "--json").out)[0]["state"] == "finished"


@pytest.mark.slow
def test_no_part_of_an_ensemble_is_trained_in_two_sessions(
    agnews, machine, own, tmp_path: Path
) -> None:
    member = tmp_path / "tiny.yaml"
    preset = yaml.safe_load(member.read_text())
    preset["training"]["epochs"] = 8
    member.write_text(yaml.safe_dump(preset))
    members = [{"preset": "tiny.yaml", "seed": seed} for seed in range(3)]
    whole = {"name": "three", "tier": "ensemble", "summary": "s", "order": 1, "members": members}
    (tmp_path / "three.yaml").write_text(yaml.safe_dump(whole | {"how": {"kind": "average"}}))
    tiny.write(Path(own[1]), tiny.rows(2, 2000))
    machine.hours = ["0.012", "0.016", "0.02", "0.03", "0.03", "0.03", "1", "1"]
    words = (*own[:2], "--preset", str(tmp_path / "three.yaml"), "--at-once", "1")
    # One that was too short to save anything ends the command; it is typed again.
    done = launched(agnews, machine, tmp_path, *words, "--save-every", "2s", "--json", again=(70,))
    assert done.code == 0, (done.err, machine.shown)
    assert len(done.json["sessions"]) > 1
    (record,) = Launches().every()
    finished = [one for each in record.sessions for one in each.has if one.endswith("@done")]
    assert len(finished) == len(set(finished)) == 4, finished
    assert agnews("predict", done.json["run"], "the goal of a match and one").code == 0
