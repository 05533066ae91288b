"""Several runs for one result: real commands, killed, on two machines, and what comes out of it."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.train
pytest.importorskip("torch")

from tests import tiny  # noqa: E402

TINY = """\
name: tiny
tier: encoder
summary: s
order: 1
model: {{id: {model}, parameters: 30000, licence: mit}}
training: {{lr: 0.003, epochs: {epochs}, batch_tokens: 128, least_steps: 0}}
beyond_limits:
  - {{field: training.lr, to: 1, why: tiny}}
  - {{field: training.epochs, to: 100, why: tiny}}
data: {{cross_validated_below: 0}}
"""
BOTH = """\
name: both
tier: ensemble
summary: s
order: 1
members: [{preset: tiny.yaml}, {preset: linear}]
how: {kind: average}
"""
STUDENT = """\
name: student
tier: distilled
summary: s
order: 1
teacher: {preset: both.yaml}
student: {preset: tiny.yaml, seed: 5}
"""


class Machine:
    """A home of its own, and commands on a store that others use too."""

    def __init__(self, work: Path, name: str) -> None:
        self.work = work
        self.env = os.environ | {
            "AGNEWS_HOME": str(work / name),
            "AGNEWS_CACHE": str(work / "cache"),
        }

    def start(self, *words: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "agnews_cli", *words, "--json"]
        return subprocess.Popen(
            command, cwd=self.work, env=self.env, text=True, start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def run(self, *words: str) -> Any:
        return answer(self.start(*words))


def answer(process: subprocess.Popen[str]) -> Any:
    out, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors[-3000:]
    return json.loads(out)


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    work = tmp_path_factory.mktemp("several")
    model = tiny.make(work / "model")
    (work / "tiny.yaml").write_text(TINY.format(model=model, epochs=30))
    (work / "both.yaml").write_text(BOTH)
    (work / "student.yaml").write_text(STUDENT)
    tiny.write(work / "data" / "train.csv", tiny.rows(3, 60))
    tiny.write(work / "data" / "test.csv", tiny.rows(3, 17))
    return work


ORDER = ("auto", "data", "--preset", "student.yaml", "--save-every", "1s")


@pytest.fixture(scope="module")
def straight(work: Path) -> Any:
    """The result of the graph, undisturbed."""
    return Machine(work, "home").run(*ORDER, "--store", "straight")


def kept(store: Path) -> dict[str, bytes]:
    """What each run of a store says of rows, by its id and the file's name."""
    return {
        str(path.relative_to(store)): path.read_bytes()
        for path in sorted(store.glob("*/predictions/*.safetensors"))
    }


def test_a_student_is_an_ordinary_model_and_its_teacher_one_folder(straight, work):
    assert straight["state"] == "completed" and straight["tier"] == "distilled"
    assert [part["kind"] for part in straight["graph"]] == [
        "train", "evaluate", "train", "evaluate", "combine", "evaluate", "predict", "train",
        "evaluate",
    ]  # fmt: skip
    model = Path(straight["files"]["model"])
    assert (model / "config.json").exists() and (model / "model.safetensors").exists()
    machine = Machine(work, "home")
    teacher = next(p["run"] for p in straight["graph"] if p["kind"] == "combine")
    texts = [text for text, _ in tiny.rows(3, 17)]
    (work / "texts.txt").write_text("\n".join(texts))
    said = []
    for run in (teacher, straight["run"]):
        answers = machine.run("predict", run, "--file", "texts.txt", "--store", "straight")
        evaluation = json.loads((work / "straight" / run / "evaluation.json").read_text())
        right = sum(a["label"] == k for a, (_, k) in zip(answers, tiny.rows(3, 17), strict=True))
        assert right / len(answers) == pytest.approx(evaluation["test"]["accuracy"]["value"])
        said.append(answers)
        with (work / "straight" / run / "predictions.csv").open(encoding="utf-8") as table:
            rows = list(csv.DictReader(table))
        assert [row["predicted"] for row in rows] == [a["label"] for a in answers]
        assert [row["label"] for row in rows] == [label for _, label in tiny.rows(3, 17)]
    card = (work / "straight" / teacher / "README.md").read_text("utf-8")
    code = card.split("Without agnews")[1].split("```python\n")[1].split("```")[0]
    code = code.replace('["your text"]', repr(texts[:5])).replace("labels[k]", "str(labels[k])")
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=work / "straight" / teacher, capture_output=True,
        text=True, env=os.environ | {"PYTHONPATH": ""},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.strip() == str([a["label"] for a in said[0][:5]])


def test_killed_and_on_two_machines_it_is_the_same_bit_for_bit(straight, work):
    store = work / "shared"
    first, second = Machine(work, "first"), Machine(work, "second")
    begun = first.start(*ORDER, "--store", str(store))
    give_up = time.monotonic() + 200
    while not any('"progress"' in p.read_text() for p in store.glob("*/events.jsonl")):
        assert begun.poll() is None and time.monotonic() < give_up
        time.sleep(0.05)
    os.killpg(begun.pid, signal.SIGKILL)
    begun.communicate()
    on_two = [machine.start("resume", "--store", str(store)) for machine in (first, second)]
    results = [answer(process) for process in on_two]
    assert {result["run"] for result in results} == {straight["run"]}
    assert kept(store) == kept(work / "straight")
    for path in store.glob("*/events.jsonl"):
        told = [json.loads(line) for line in path.read_text().splitlines()]
        ends = [e for e in told if e["kind"] == "ended" and e["data"]["state"] == "completed"]
        assert len(ends) == 1, path
    parts = first.run("status", "--store", str(store))["parts"]
    assert {part["state"] for part in parts} == {"done"}


def test_a_graph_that_ends_in_an_export_goes_on_where_it_was_killed(straight, work):
    """What is there is not done again; what is delivered is what was exported, judged itself."""
    pytest.importorskip("onnxruntime")
    (work / "edge.yaml").write_text(STUDENT + "export: onnx-int8\n")
    machine, order = Machine(work, "home"), ("auto", "data", "--preset", "edge.yaml")
    ahead = machine.run(*order, "--store", "straight", "--dry-run")
    assert [part["kind"] for part in ahead["graph"]][-2:] == ["export", "evaluate"]
    run = work / "straight" / ahead["run"]
    assert ahead["run"].startswith("student-onnx-int8-") and not run.exists()
    begun = machine.start(*order, "--store", "straight")
    give_up = time.monotonic() + 200
    while not (run / "exported").exists():
        assert begun.poll() is None and time.monotonic() < give_up
        time.sleep(0.02)
    os.killpg(begun.pid, signal.SIGKILL)
    begun.communicate()
    parts = machine.run("status", ahead["run"], "--store", "straight")["parts"]
    assert [part["state"] for part in parts] == ["done"] * 9 + ["begun", "waiting"]
    assert not (run / "delivery.json").exists()
    found = machine.run("resume", ahead["run"], "--store", "straight")
    assert found["run"] == ahead["run"] and found["state"] == "completed"
    assert found["use"]["exported"] == str(run / "exported")
    assert found["why"].startswith("ONNX, in INT8") and "accuracy" in found["why"]
    events = [json.loads(line) for line in (run / "events.jsonl").read_text().splitlines()]
    assert sum(event["kind"] == "started" for event in events) == 2
    texts = [text for text, _ in tiny.rows(3, 17)]
    (work / "texts.txt").write_text("\n".join(texts))
    with (run / "predictions.csv").open(encoding="utf-8") as table:
        judged = [row["predicted"] for row in csv.DictReader(table)]
    answers = machine.run("predict", ahead["run"], "--file", "texts.txt", "--store", "straight")
    assert [answer["label"] for answer in answers] == judged
    exported = json.loads((run / "exported" / "export.json").read_text())
    assert exported["work"] == {
        "kind": "export", "form": "onnx-int8", "model": {"run": straight["run"], "part": "model"}
    }  # fmt: skip
