"""`agnews export` whole: the real command writes a folder that counts, or nothing at all; what it
writes answers in a process that has no torch, with agnews and without."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.train
pytest.importorskip("torch")
pytest.importorskip("onnxruntime")

from agnews_cli.store.model import delivered  # noqa: E402
from tests.learn import tiny  # noqa: E402

WITHOUT = """
import sys

class Without:
    def find_spec(self, name, *_):
        if name.split(".")[0] in {names}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Without())
"""
TORCH = {"torch", "transformers", "peft", "safetensors", "scipy", "sklearn"}


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """A run that has delivered, and has not learnt much."""
    import torch
    from transformers import AutoModelForSequenceClassification

    from agnews_cli.learn.models.model import save_delivery
    from agnews_cli.store.data import datasets

    place = tmp_path_factory.mktemp("exported")
    base, run = tiny.model_folder(place / "bert"), place / "run"
    (place / "data").mkdir()
    tiny.csv_file(place / "data" / "train.csv", {"a": 60, "b": 60})
    recipe = tiny.preset(base, {"cross_validated_below": 0}, max_length=16)
    (run / "model").mkdir(parents=True)
    torch.manual_seed(1)
    model = AutoModelForSequenceClassification.from_pretrained(base, num_labels=2)
    model.classifier.weight.data.mul_(50)
    save_delivery(model, tiny.tokenizer(base), recipe, run / "model", ("a", "b"))
    job = tiny.order(run, place / "data", recipe)
    (run / "job.json").write_text(job.model_dump_json())
    members = [{"name": "tiny", "kind": "finetune", "folder": "model", "share": 1.0}]
    dataset = datasets.find(str(place / "data"))
    delivered.write(run, dataset, max_length=16, members=members)
    return run


@pytest.fixture(scope="module")
def exported(run, tmp_path_factory) -> Path:
    """By the command, in INT8."""
    place = tmp_path_factory.mktemp("out")
    done = subprocess.run(
        [sys.executable, "-m", "agnews_cli", "export", run, "--to", "onnx-int8", "--json"],
        cwd=place, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["folder"] == str(place / "run-onnx-int8") and told["verified"]["rows"] == 40
    assert [path.name for path in place.iterdir()] == ["run-onnx-int8"]
    return place / "run-onnx-int8"


def started_without(names: set[str], code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", WITHOUT.format(names=sorted(names)) + code],
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_the_predicting_process_needs_no_torch(exported):
    order = delivered.order_of(delivered.at(exported), lambda base: "").model_dump_json()
    texts = json.dumps({"texts": ["w1 w2", "w9"], "classes": [-1, -1]})
    code = (
        "import io, queue\n"
        "from agnews_cli.learn import predict\n"
        "inbox, sink = queue.Queue(), io.BytesIO()\n"
        f"for line in ({order!r}, {texts!r}, '{{\"is_end\": true}}'): inbox.put(line.encode())\n"
        "predict.serve(inbox, sink)\n"
        "print(sink.getvalue())\n"
    )
    done = started_without(TORCH, code, exported)
    assert '"kind":"rows","rows":2' in done.stdout, done.stdout + done.stderr


def test_the_lines_of_its_card_do_without_agnews(agnews, exported):
    card = (exported / "README.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", card, re.DOTALL)
    assert len(code.splitlines()) <= 10
    code = code.replace('"your text"', '"w1 w2", "w9", "w1 w1 w1 w1 w1"')
    done = started_without({*TORCH, "agnews_cli"}, code, exported)
    assert done.returncode == 0, done.stderr
    said = agnews("predict", exported, "w1 w2", "w9", "w1 w1 w1 w1 w1", "--json")
    assert json.loads(done.stdout.replace("'", '"')) == [row["label"] for row in said.json]


# ---- what goes wrong ----------------------------------------------------------------------------


def test_each_mistake_is_one_sentence_and_writes_nothing(agnews, run, exported, tmp_path):
    unfinished = tmp_path / "agnews-runs" / "r-0123456789"
    unfinished.mkdir(parents=True)
    (unfinished / "job.json").write_text("{}")
    (tmp_path / "there").mkdir()
    before = sorted(tmp_path.rglob("*"))
    for words, code, said in (
        ((run, "--to", "onx"), 2, "one of onnx, onnx-int8, openvino (did you mean"),
        ((unfinished, "--to", "onnx"), 2, "has delivered no model yet"),
        (("nobody", "--to", "onnx"), 2, "No run 'nobody'"),
        ((run, "--to", "onnx", "--out", "there"), 73, "is there already"),
        ((exported, "--to", "onnx", "--data", run / "job.json"), 78, "exported already"),
    ):
        done = agnews("export", *words)
        assert done.code == code and said in " ".join(done.err.split()), (words, done.err)
        assert "Traceback" not in done.err
    assert sorted(tmp_path.rglob("*")) == before


def test_a_missing_library_is_named_with_what_installs_it(run, tmp_path):
    code = (
        "from agnews_cli.cli.main import main\n"
        "import importlib.util as u\n"
        "find = u.find_spec\n"
        "u.find_spec = lambda name: None if name == 'onnxruntime' else find(name)\n"
        f"main(['export', {str(run)!r}, '--to', 'onnx'])\n"
    )
    done = started_without(set(), code, tmp_path)
    assert done.returncode == 69
    assert "onnxruntime is not installed" in done.stderr
    assert "pip install 'agnews-cli[export]'" in done.stderr


def test_a_disk_without_room_is_said_before_the_work(run, tmp_path):
    code = (
        "import shutil, collections\n"
        "usage = collections.namedtuple('usage', 'total used free')\n"
        "shutil.disk_usage = lambda path: usage(1, 1, 1000)\n"
        "from agnews_cli.cli.main import main\n"
        f"main(['export', {str(run)!r}, '--to', 'onnx', '--out', 'mine'])\n"
    )
    done = started_without(set(), code, tmp_path)
    assert done.returncode == 74 and "No space left" in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_stop_leaves_nothing_half(run, tmp_path, number):
    command = [sys.executable, "-m", "agnews_cli", "export", run, "--to", "onnx", "--out", "mine"]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    give_up_s = time.monotonic() + 60
    while not list(tmp_path.glob(".mine.draft-*")) and time.monotonic() < give_up_s:
        time.sleep(0.02)
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert not (tmp_path / "mine").exists()
    left = list(tmp_path.iterdir())
    if number == signal.SIGINT:
        assert process.returncode == 130 and "nothing was written" in said
        assert left == []
    else:
        assert len(left) == 1  # the draft, which the next export to this place removes


def test_a_draft_that_was_left_is_removed_and_one_in_use_is_not(tmp_path):
    from agnews_cli.store.disk import drafts

    target = tmp_path / "mine"
    left, other = tmp_path / ".mine.draft-1", tmp_path / ".mine2.draft-1"
    for folder in (left, other):
        folder.mkdir()
        (folder / "model.onnx").write_text("half")
    holds = (
        "import sys, time; from pathlib import Path\n"
        "from agnews_cli.store.disk import drafts\n"
        "with drafts.whole_folder(Path(sys.argv[1])): print('holds', flush=True); time.sleep(60)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", holds, target], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None and process.stdout.readline() == "holds\n"
    assert not left.exists() and other.exists()
    try:
        with drafts.whole_folder(target) as draft:
            (draft / "file").write_text("whole")
            assert len(list(tmp_path.glob(".mine.draft-*"))) == 2
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    assert (target / "file").read_text() == "whole"
    mode = os.umask(0)
    os.umask(mode)
    assert target.stat().st_mode & 0o777 == 0o777 & ~mode
    shutil.rmtree(target)
