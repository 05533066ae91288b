"""Runs: one id for one result, found by the words people use, written whole or not at all."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from agnews_cli.core.run.dataset import Dataset, File, Form
from agnews_cli.core.run.preset import Preset
from agnews_cli.errors import CannotRead, CannotWrite, NoDiskSpace, RunUnfinished, RunUnknown
from agnews_cli.store.disk import files
from agnews_cli.store.model import delivered
from agnews_cli.store.run import runs
from agnews_cli.store.run.runs import RunFolder, create, find, list_runs
from agnews_cli.store.settings import presets

ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


def dataset(**changes: Any) -> Dataset:
    facts: dict[str, Any] = {
        "name": "ag",
        "train": File(path="/a/train.csv", form=Form(format="csv"), rows=4, sha256="aa"),
        "test": File(path="/a/test.csv", form=Form(format="csv"), rows=2, sha256="bb"),
        "text_columns": ("title", "body"),
        "label_column": "class",
        "labels": ("World", "Sports"),
        "label_values": ("1", "2"),
    }
    return Dataset(**(facts | changes))


@pytest.fixture
def preset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Preset:
    monkeypatch.setenv("AGNEWS_HOME", str(tmp_path / "home"))
    return presets.load("minilm")


def make(store: Path, preset: Preset, run: str, seconds: float = 0) -> RunFolder:
    moment = NOW + timedelta(seconds=seconds)
    return create(store, run, preset=preset, dataset=dataset(), seed=1, now=moment)


# ---- the store ----------------------------------------------------------------------------------


def test_a_run_holds_its_preset_and_is_not_made_twice(preset: Preset, tmp_path: Path) -> None:
    changed = presets.with_settings(preset, ["training.lr=1e-05"])
    run = make(tmp_path / "store", changed, "minilm-aa")
    assert presets.load(str(run.preset)) == changed
    before = (run.path / "created.json").read_bytes()
    assert make(tmp_path / "store", changed, "minilm-aa", 50) == run
    assert (run.path / "created.json").read_bytes() == before
    assert run.created_at() == NOW
    assert run.path.is_absolute()


def test_each_thing_has_its_own_place() -> None:
    run = RunFolder(Path("/s/r-1"))
    names = ("job", "events", "outcome", "evaluation", "predictions", "log", "model", "preset")
    places = [getattr(run, name) for name in (*names, "environment")]
    assert len(set(places)) == 9
    assert all(place.parent == run.path for place in places)
    assert run.id == "r-1"


def test_newest_by_creation_not_by_mtime(preset: Preset, tmp_path: Path) -> None:
    for name, seconds in (("b", 10), ("c", 30), ("a", 20)):
        make(tmp_path, preset, name, seconds)
    os.utime(tmp_path / "b" / "created.json", (4e9, 4e9))
    os.utime(tmp_path / "b", (4e9, 4e9))
    assert [run.id for run in list_runs(tmp_path)] == ["c", "a", "b"]
    assert find(tmp_path, "latest").id == "c"


def test_what_is_no_run_is_not_listed(preset: Preset, tmp_path: Path) -> None:
    make(tmp_path, preset, "good")
    (tmp_path / "half").mkdir()
    (tmp_path / "file").write_text("")
    for name, content in (
        ("torn", '{"created_at": "2026'),
        ("list", "[]"),
        ("naive", '{"created_at": "2026-05-01T12:00:00"}'),
        ("bytes", "\x00"),
    ):
        (tmp_path / name).mkdir()
        (tmp_path / name / "created.json").write_text(content)
    assert [run.id for run in list_runs(tmp_path)] == ["good"]
    assert list_runs(tmp_path / "nowhere") == ()
    for no_folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(CannotRead, match="Not a directory"):
            list_runs(no_folder)


def test_find_by_id_beginning_or_folder(
    preset: Preset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = tmp_path / "store"
    for name in ("minilm-ab12", "minilm-ab", "mpnet-77"):
        make(store, preset, name)
    assert find(store, "minilm-ab").id == "minilm-ab"  # exact, though it begins another
    assert find(store, "minilm-ab1").id == "minilm-ab12"
    assert find(store, "mp").id == "mpnet-77"
    elsewhere = make(tmp_path / "other", preset, "x-1")
    assert find(store, str(elsewhere.path)).path == elsewhere.path
    monkeypatch.chdir(tmp_path)
    assert find(store, "other/x-1").path == elsewhere.path


def test_what_is_said_of_an_unfinished_run_can_be_pasted_wherever_it_lies(
    preset: Preset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    usual = tmp_path / "agnews-runs"
    for store in (usual, tmp_path / "it's elsewhere"):
        run = make(store, preset, "minilm-aa")
        with pytest.raises(RunUnfinished) as unfinished:
            delivered.of_run(run)
        for command in unfinished.value.advice.split("agnews ")[1:]:
            word = shlex.split(command.partition(";")[0])[-1]
            assert find(usual, word) == run, command


def test_find_nothing_says_what_is_near(preset: Preset, tmp_path: Path) -> None:
    with pytest.raises(RunUnknown, match="which holds no runs") as caught:
        find(tmp_path, "latest")
    assert "`agnews auto` trains one" in caught.value.advice
    for name in ("minilm-ab12", "minilm-cd34", "minilm-ef56", "minilm-gh78"):
        make(tmp_path, preset, name)
    with pytest.raises(RunUnknown, match=r"may be 'minilm-ab12' or .* and 1 more"):
        find(tmp_path, "minilm")
    with pytest.raises(RunUnknown, match=r"did you mean 'minilm-ab12'"):
        find(tmp_path, "minilm-ab21")
    with pytest.raises(RunUnknown):
        find(tmp_path, "")
    with pytest.raises(RunUnknown):
        find(tmp_path, str(tmp_path))


def test_default_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert runs.default_store("kaggle") == Path("/kaggle/working/agnews-runs")
    assert runs.default_store("local") == tmp_path / "agnews-runs"


def test_a_store_that_is_a_file(preset: Preset, tmp_path: Path) -> None:
    (tmp_path / "store").write_text("")
    with pytest.raises(CannotWrite):
        make(tmp_path / "store", preset, "r")


# ---- the disk -----------------------------------------------------------------------------------


def test_space(tmp_path: Path) -> None:
    runs.require_space(tmp_path / "not" / "yet", 1000)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(NoDiskSpace) as caught:
        runs.require_space(tmp_path / "not" / "yet", 10**18)
    assert "about 1000000.0 TB needed" in caught.value.message
    (tmp_path / "file").write_text("")
    with pytest.raises(CannotWrite, match="is a file"):
        runs.require_space(tmp_path / "file" / "x", 1)
    with pytest.raises(CannotWrite):
        runs.require_space(Path("/proc/agnews"), 1)


@pytest.mark.parametrize(
    ("amount", "shown"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1000, "1.0 KB"),
        (999_999, "1.0 MB"),
        (1_540_000_000, "1.5 GB"),
        (2 * 10**13, "20.0 TB"),
    ],
)
def test_sizes_for_people(amount: int, shown: str) -> None:
    assert runs.size(amount) == shown


def test_write_replaces_and_leaves_no_draft(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    files.write_text_atomically(path, "old")
    files.write_text_atomically(path, "né\r\n")
    assert path.read_bytes() == "né\r\n".encode()
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(CannotWrite):
        files.write_text_atomically(tmp_path / "no" / "x", "")
    (tmp_path / "dir").mkdir()
    with pytest.raises(CannotWrite):
        files.write_text_atomically(tmp_path / "dir", "text")
    with pytest.raises(UnicodeEncodeError):
        files.write_text_atomically(path, "\ud800")
    assert path.read_bytes() == "né\r\n".encode()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["dir", "x.json"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's /dev/full")
def test_a_full_disk_is_named(tmp_path: Path) -> None:
    error = None
    try:
        with Path("/dev/full").open("wb", buffering=0) as stream:
            stream.write(b"x")
    except OSError as full:
        error = full
    assert error is not None
    assert isinstance(runs.refusal(tmp_path / "x", error, 5), NoDiskSpace)


def test_killed_between_write_and_rename_leaves_the_old(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_text("old")
    code = (
        "import os, sys; from pathlib import Path; from agnews_cli.store.disk import files\n"
        "os.fsync = lambda handle: os.kill(os.getpid(), 9)\n"
        "files.write_text_atomically(Path(sys.argv[1]), 'new')\n"
    )
    ended = subprocess.run([sys.executable, "-c", code, str(path)], cwd=ROOT, check=False)
    assert ended.returncode == -9
    assert path.read_text() == "old"
