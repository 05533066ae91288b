"""What others may read and write: nothing of the user's texts, logs and ledgers, by no way."""

from __future__ import annotations

import ast
import os
import stat
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

import agnews_cli
from agnews_cli.cli.main import main
from agnews_cli.core.run.prediction import Answer
from agnews_cli.errors import BadOutput, CannotWrite
from agnews_cli.host import predictor
from agnews_cli.store.disk import outputs, private
from agnews_cli.store.hours.ledger import Ledger
from tests import source

SOURCES = sorted(Path(agnews_cli.__file__).parent.rglob("*.py"))
SAFE = {"TemporaryDirectory", "TemporaryFile", "NamedTemporaryFile", "mkdtemp", "mkstemp"}
"""Exclusive, under names that nobody foresees, 0700 or 0600."""


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


@pytest.fixture
def shared(tmp_path: Path, monkeypatch) -> Path:
    """A folder for temporary files in which links wait under every name that was ever foreseen."""
    folder = tmp_path / "shared"
    folder.mkdir()
    (tmp_path / "victim").write_text("precious\n")
    for pid in range(os.getpid(), os.getpid() + 300):
        (folder / f"agnews-error-{pid}.txt").symlink_to(tmp_path / "victim")
    (folder / "agnews-constraints.txt").symlink_to(tmp_path / "victim")
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr("tempfile.tempdir", None)
    return folder


def test_no_link_in_a_shared_folder_is_followed(shared, tmp_path, monkeypatch, capsys):
    def fail(**_):
        raise RuntimeError("boom in a text")

    monkeypatch.setattr("agnews_cli.cli.main.app", fail)
    with pytest.raises(SystemExit) as ended:
        main(["runs"])
    assert ended.value.code == 1
    predicting = Answer.model_validate(
        {"kind": "failure", "failure": {"kind": "X", "message": "boom", "hint": "", "exit_code": 1},
         "trace": "boom in a text"}
    )  # fmt: skip
    assert predicting.kind == "failure"
    predictor.in_words(predicting.failure, predicting.trace)
    assert (tmp_path / "victim").read_text() == "precious\n"
    made = [path for path in shared.iterdir() if not path.is_symlink()]
    assert [(mode(path), "boom in a text" in path.read_text()) for path in made] == [
        (0o600, True)
    ] * 2
    err = capsys.readouterr().err
    assert any(path.name in err for path in made)


def test_an_error_whose_details_cannot_be_kept_is_told_all_the_same(monkeypatch, capsys):
    def fail(**_):
        raise RuntimeError("boom")

    monkeypatch.setattr("agnews_cli.cli.main.app", fail)
    monkeypatch.setattr("tempfile.mkstemp", lambda **_: os.open("/nowhere/at/all", os.O_RDONLY))
    with pytest.raises(SystemExit):
        main(["runs"])
    err = capsys.readouterr().err
    assert "boom" in err
    assert "Traceback" not in err


def test_the_notebooks_install_cell_follows_no_link_either(shared, tmp_path):
    from agnews_cli.workflows.elsewhere.notebook import _INSTALL

    cell = _INSTALL.replace("%load_ext agnews_cli", "").replace("SOURCE", repr("agnews-cli"))
    code = f"import subprocess\nsubprocess.run = lambda a, check: print(a)\n{cell}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "--constraint" in done.stdout
    assert (tmp_path / "victim").read_text() == "precious\n"


def test_there_is_no_other_way_into_the_folder_for_temporary_files():
    """Of the source: only tempfile's safe functions, and no name of ours in such a folder."""
    found = []
    for path in SOURCES:
        tree = source.tree(path)
        docs = {id(n.value) for n in ast.walk(tree) if isinstance(n, ast.Expr)}
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module == "tempfile":
                found += [
                    (path.name, node.lineno, a.name) for a in node.names if a.name not in SAFE
                ]
            is_tempfile = isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
            if is_tempfile and node.value.id == "tempfile" and node.attr not in SAFE:
                found.append((path.name, node.lineno, node.attr))
            if (
                isinstance(node, ast.Constant)
                and isinstance(node.value, str)
                and id(node) not in docs
            ):
                for word in ("/tmp", "/var/tmp", "gettempdir", "mktemp(", "/dev/shm"):
                    if word in node.value:
                        found.append((path.name, node.lineno, word))
    # The doctor, and a worker whose disk is full, only ask how much room it has.
    asking = {("checks.py", "gettempdir"), ("worker.py", "gettempdir")}
    # What is launched runs in a container of its own, whose folder for such files nobody shares.
    asking |= {("notebook.py", "/tmp"), ("elsewhere.py", "/tmp")}
    assert {(name, what) for name, _, what in found} == asking


def test_the_home_the_ledger_and_logs_are_the_users_own(own_home, tmp_path):
    before = os.umask(0o000)  # the user who shares everything
    try:
        with Ledger() as ledger:
            ledger.record_run(
                "r-1", preset="minilm", dataset="mine", seed=0, folder=str(tmp_path / "r-1"),
                now=datetime.now(UTC),
            )  # fmt: skip
        with private.appending(tmp_path / "worker.log") as log:
            log.write(b"a text")
    finally:
        os.umask(before)
    home = Path(os.environ["AGNEWS_HOME"])
    for path in [home, *home.rglob("*"), tmp_path / "worker.log"]:
        assert mode(path) & 0o077 == 0, path


def test_a_ledger_that_was_open_to_all_is_closed_when_it_is_opened(own_home):
    with Ledger() as ledger:
        path = ledger.path
    path.chmod(0o644)
    with Ledger():
        assert mode(path) == 0o600


def test_a_log_that_was_open_to_all_is_closed_when_it_is_written(tmp_path):
    (tmp_path / "worker.log").touch(0o644)
    with private.appending(tmp_path / "worker.log"):
        assert mode(tmp_path / "worker.log") == 0o600


@pytest.mark.parametrize("kind", ["link", "pipe"])
def test_a_log_goes_into_no_link_and_waits_for_no_pipe(tmp_path, kind):
    path = tmp_path / "worker.log"
    if kind == "link":
        path.symlink_to(tmp_path / "victim")
    else:
        os.mkfifo(path)
    with pytest.raises(OSError):
        private.appending(path)
    assert not (tmp_path / "victim").exists()


# ---- files that the user names ------------------------------------------------------------------


def special(tmp_path: Path, kind: str) -> Path:
    path = tmp_path / "out.csv"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "link to a pipe":
        os.mkfifo(tmp_path / "there")
        path.symlink_to("there")
    else:
        try:
            os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 3))  # another /dev/null
        except PermissionError:
            pytest.skip("only root makes devices")
    return path


@pytest.mark.parametrize("kind", ["pipe", "link to a pipe", "device"])
def test_a_pipe_or_a_device_is_refused_and_stays_what_it_is(tmp_path, kind, agnews):
    path = special(tmp_path, kind)
    before = path.stat()
    with pytest.raises(CannotWrite, match="pipe or a device"):
        outputs.write(path, "text")
    with pytest.raises(BadOutput):
        outputs.real(path)
    ended = agnews("quota", "export", "--out", path)
    assert ended.code == CannotWrite.exit_code
    assert "pipe or a device" in ended.err
    assert (path.stat().st_ino, path.stat().st_mode) == (before.st_ino, before.st_mode)


@pytest.mark.parametrize(
    "command", [("quota", "export", "--out"), ("notebook", "colab", "--force", "--output")]
)
@pytest.mark.parametrize("is_there", [True, False])
def test_what_a_link_means_is_written_and_the_link_stays(tmp_path, agnews, command, is_there):
    (tmp_path / "elsewhere").mkdir()
    if is_there:
        (tmp_path / "elsewhere" / "real.ipynb").write_text("of before")
    path = tmp_path / "mine.ipynb"
    path.symlink_to(Path("elsewhere", "real.ipynb"))
    ended = agnews(*command, path)
    assert ended.code == 0, ended.err
    assert path.is_symlink()
    assert (tmp_path / "elsewhere" / "real.ipynb").stat().st_size > 50


def test_a_file_that_is_replaced_keeps_its_mode(tmp_path):
    (tmp_path / "mine.csv").touch(0o640)
    (tmp_path / "mine.csv").chmod(0o640)
    outputs.write(tmp_path / "mine.csv", "text")
    assert mode(tmp_path / "mine.csv") == 0o640
    assert (tmp_path / "mine.csv").read_text() == "text"
