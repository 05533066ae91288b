"""Children run what is installed, not what lies about, hear nobody's keyboard, and end with us."""

from __future__ import annotations

import ast
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import agnews_cli
from agnews_cli.core.machine.accelerator import Accelerator
from agnews_cli.core.run.prediction import Member, Order
from agnews_cli.errors import AgnewsError
from agnews_cli.host import children, kernel, launch, probe
from agnews_cli.host.predictor import Predictor
from agnews_cli.workflows.machine import verify
from tests import source

ROOT = Path(agnews_cli.__file__).parent
STARTS = {"Popen", "run", "call", "check_call", "check_output", "getoutput", "getstatusoutput"}
NEVER = {"system", "popen", "fork", "forkpty", "posix_spawn", "posix_spawnp", "startfile"}
NEVER |= {
    f"{kind}{how}" for kind in ("exec", "spawn") for how in ("l", "le", "lp", "v", "ve", "vp")
}
T4 = Accelerator("cuda", "Tesla T4", 1, 16 * 10**9, (7, 5), False, "580.82")


# ---- the source ---------------------------------------------------------------------------------


@cache
def attributes() -> tuple[tuple[str, ast.Attribute | ast.Call], ...]:
    """(file, node) of every attribute in the package, and of every call of one."""
    return tuple(
        (str(path.relative_to(ROOT)), node)
        for path in ROOT.rglob("*.py")
        for node in ast.walk(source.tree(path))
        if isinstance(node, ast.Attribute)
        or (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute))
    )


def calls() -> Iterator[tuple[str, ast.Call, str, str]]:
    """(file, call, what is called, and on what)."""
    for file, node in attributes():
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            yield file, node, node.func.attr, ast.unparse(node.func.value)


def given(call: ast.Call) -> dict[str, str]:
    return {word.arg: ast.unparse(word.value) for word in call.keywords if word.arg}


def test_every_child_is_started_from_few_places_on_a_safe_path_and_deaf() -> None:
    started = set()
    for file, call, name, owner in calls():
        assert not (owner == "os" and name in NEVER), f"{file}:{call.lineno}"
        assert owner not in ("multiprocessing", "pty") or name == "openpty", file
        assert not (owner == "asyncio" and "subprocess" in name), file
        if owner == "subprocess" and name in STARTS:
            started.add(file)
            assert "DEVNULL" in given(call)["stdin"]
            assert "env" in given(call)
    assert started == {"host/children.py"}


@pytest.mark.parametrize("more", [{}, {"env": {"PATH": os.environ["PATH"], "X": "1"}}])
def test_a_child_hears_nothing_and_runs_nothing_that_lies_about(more: dict[str, object]) -> None:
    code = "import os, sys; print(repr(sys.stdin.read()), os.environ.get('PYTHONSAFEPATH'))"
    child = children.start([sys.executable, "-c", code], stdout=subprocess.PIPE, **more)
    assert child.communicate()[0].split() == [b"''", b"None" if more else b"1"]


def test_python_is_named_in_one_place() -> None:
    """Whoever has its path could start it otherwise; the probe only remembers by it."""
    found = {
        file
        for file, node in attributes()
        if isinstance(node, ast.Attribute) and node.attr == "executable"
    }
    assert found == {"host/children.py", "host/probe.py"}


def test_no_model_is_loaded_with_leave_to_run_its_code() -> None:
    loaded = [
        (file, given(call).get("trust_remote_code"))
        for file, call, name, owner in calls()
        if name in ("from_pretrained", "from_config") and owner not in ("PeftModel", "nn.Embedding")
    ]
    files = ("learn/adapters/whole.py", "learn/adapters/base.py", "learn/models/model.py")
    assert set(loaded) == {(file, "False") for file in files}
    assert len(loaded) >= 5


# ---- what lies in the current folder ------------------------------------------------------------


class Silent:
    def line(self, text: str) -> None: ...

    def renew(self, text: str) -> None: ...


def predicts(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    member = Member(name="m", kind="linear", folder=str(tmp_path), digests={"none": "0"})
    order = Order(members=(member,), labels=("a", "b"), max_length=8)
    with Predictor(order, cpu_count=1, kind="cpu") as worker, pytest.raises(AgnewsError) as error:
        list(worker.answers([]))
    assert type(error.value).__name__ == "ReportedError"  # it was there to say so


def probes(tmp_path: Path) -> None:
    if probe._torch_version() is None:
        pytest.skip("without torch there is no child")
    assert probe.run(T4, timeout_s=2.0).state != "died"


def of_a_kernel(tmp_path: Path) -> None:
    assert kernel.run(["--version"], Silent(), more={}) == 0


def verifies(tmp_path: Path) -> None:
    verify._run(["runs"], tmp_path, "store")


@pytest.mark.parametrize("start", [predicts, probes, of_a_kernel, verifies])
def test_modules_beside_the_data_are_not_run(tmp_path, monkeypatch, start):
    place = tmp_path / "place"
    place.mkdir()
    for name in ("queue", "pydantic", "typer", "numpy", "functools"):
        (place / f"{name}.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'a').write({name!r})")
    monkeypatch.chdir(place)
    start(tmp_path)
    assert not (tmp_path / "ran").exists(), (tmp_path / "ran").read_text()


@pytest.mark.parametrize("processes", [1, 2])
def test_launchers_and_what_they_start_have_a_safe_path(tmp_path, monkeypatch, processes):
    python, shown = tmp_path / "python", tmp_path / "shown"
    python.write_text(f'#!/bin/sh\necho "$1"; env > {shown}\n')
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    monkeypatch.setenv("PYTHONPATH", "/mine")
    cpu = Accelerator("cpu", "Some CPU")
    log = tmp_path / "worker.log"
    worker = launch.start(tmp_path / "job.json", log, cpu, processes=processes, cpu_count=2)
    while worker.poll() is None:
        time.sleep(0.01)
    worker.close()
    assert log.read_text() == "-P\n"
    assert {"PYTHONSAFEPATH=1", "PYTHONPATH=/mine"} <= set(shown.read_text().splitlines())


# ---- their end ----------------------------------------------------------------------------------

PROBING = (
    "from agnews_cli.core.machine.accelerator import Accelerator\n"
    "from agnews_cli.host import probe\n"
    "probe.run(Accelerator('cuda', 'T4', 1))"
)
LAUNCHER = """
import subprocess, sys, time
words = [sys.executable, "-c", "import time; time.sleep(60)", *sys.argv[1:]]
for _ in range(2):  # as torchrun does it
    subprocess.Popen(words, start_new_session=True)
time.sleep(60)
"""


def with_word(word: str) -> list[int]:
    import psutil

    return [
        p.pid
        for p in psutil.process_iter(["cmdline", "status"])
        if word in (p.info["cmdline"] or ()) and p.info["status"] != psutil.STATUS_ZOMBIE
    ]


def wait_for(word: str, count: int, *, within_s: float) -> list[int]:
    give_up_s = time.monotonic() + within_s
    while len(found := with_word(word)) != count:
        assert time.monotonic() < give_up_s, found
        time.sleep(0.02)
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a child with its parent")
def test_a_probe_ends_when_its_command_is_killed():
    if probe._torch_version() is None:
        pytest.skip("without torch there is no child")
    env = os.environ | {"PYTHONPATH": str(ROOT.parent)}
    command = subprocess.Popen([sys.executable, "-c", PROBING], env=env)
    try:
        wait_for(str(command.pid), 1, within_s=30)
        time.sleep(0.5)
    finally:
        command.kill()
        command.wait()
    wait_for(str(command.pid), 0, within_s=2)


def test_processes_in_sessions_of_their_own_end_with_their_launcher(tmp_path):
    """Also those that were stopped, and those whose launcher died before."""
    for dies_first in (False, True):
        mark = f"mark-{os.getpid()}-{dies_first}"
        launcher = subprocess.Popen(
            [sys.executable, "-c", LAUNCHER, mark], start_new_session=True, stdin=subprocess.DEVNULL
        )
        worker = launch.WorkerProcess(launcher, (tmp_path / "log").open("ab"), mark)
        ranks = [pid for pid in wait_for(mark, 3, within_s=20) if pid != launcher.pid]
        os.kill(ranks[0], signal.SIGSTOP)
        if dies_first:
            launcher.kill()
            launcher.wait()
        worker.close()
        assert with_word(mark) == []


def test_workers_of_another_container_are_not_ours_to_end(tmp_path):
    """A namespace below ours: its processes are seen from here, with their whole command line."""
    inside = ("unshare", "--pid", "--fork", "--mount-proc", "--kill-child", "--")
    if subprocess.run([*inside, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no PID namespace can be made here")
    job = tmp_path / "job.json"
    worker = [sys.executable, "-c", "import time; time.sleep(60)", launch._WORKER, str(job)]
    mine = subprocess.Popen(worker)
    theirs = subprocess.Popen([*inside, *worker])
    try:
        wait_for(str(job), 3, within_s=20)  # unshare itself has those words too
        assert {p.pid for p in launch.left_behind(job)} == {mine.pid, theirs.pid}
        launch.await_end([p for p in launch.left_behind(job) if p.pid == mine.pid], 0.0)
        assert len(with_word(str(job))) == 2
    finally:
        for process in (mine, theirs):
            process.kill()
            process.wait()


def test_a_child_of_a_parent_that_is_gone_does_not_begin():
    code = "from agnews_cli.host import children; children.end_with(1 << 22); print('began')"
    env = os.environ | {"PYTHONPATH": str(ROOT.parent)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (1, "")


def test_a_module_runs_as_itself_and_little_is_searched_for_garbage(tmp_path):
    (tmp_path / "told.py").write_text(
        "import gc, sys\n"
        "from agnews_cli import start\n"
        "print(__name__, sys.argv, gc.get_threshold()[0] > 10_000)\n"
        "start.is_over()\n"
        "print(gc.get_threshold()[0] < 10_000, gc.get_freeze_count() > 1_000)\n"
        "sys.exit(3)\n"
    )
    env = children.environment({"PYTHONPATH": f"{tmp_path}:{ROOT.parent}"})
    done = subprocess.run(
        children.module("told", "a", "b c"), env=env, capture_output=True, text=True, check=False
    )
    first, second = done.stdout.splitlines()
    assert first == f"__main__ {[str(tmp_path / 'told.py'), 'a', 'b c']} True"
    assert (second, done.returncode, done.stderr) == ("True True", 3, "")


VERIFYING = """
import sys
from pathlib import Path
from agnews_cli.workflows.machine import verify
verify.children.module = lambda *_: [sys.executable, *sys.argv[1:]]
verify._run(["auto"], Path(sys.argv[2]).parent, "store")
"""
TRAINING = """
import sys, time
from agnews_cli.host.notebook import Lifeline
lifeline, said = Lifeline(), open(sys.argv[1], "w", buffering=1)
said.write("watching\\n")
give_up_s = time.monotonic() + 40
while not lifeline.is_cut() and time.monotonic() < give_up_s:
    time.sleep(0.05)
said.write("cut\\n")
"""


def test_what_verify_resume_started_stops_when_it_is_killed(tmp_path, monkeypatch):
    """The child looks after who started it, as `agnews auto` does in a notebook."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT.parent))
    said, script = tmp_path / "said", tmp_path / "training.py"
    script.write_text(TRAINING)
    command = subprocess.Popen([sys.executable, "-c", VERIFYING, str(script), str(said)])
    try:
        wait_until_says(said, "watching\n")
    finally:
        command.kill()
        command.wait()
    wait_until_says(said, "watching\ncut\n")


def wait_until_says(path: Path, words: str) -> None:
    give_up_s = time.monotonic() + 30
    while not (path.exists() and path.read_text() == words):
        assert time.monotonic() < give_up_s, path.exists() and path.read_text()
        time.sleep(0.05)
