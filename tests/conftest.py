"""Each test has a home, cache and working folder of its own, and no hub: nothing here downloads."""

from __future__ import annotations

import gc
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.servers.commands import Commands

# Tests that run at the same time spare each other. Those of `end_to_end/test_resume` have the
# threads that a user has.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Under nohup, or in a script's background, no command that a test starts would hear these.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)


# What was imported stays: looking through it for garbage took 26 s of 49 in two files of torch's.
_MANY_MODULES = 100
_modules_frozen = 0


def pytest_configure() -> None:
    gc.disable()
    # Kaggle's client makes its folder when it is imported, and fails where another process has.
    settings = Path(os.environ.get("XDG_CONFIG_HOME") or "~/.config").expanduser()
    (settings / "kaggle").mkdir(parents=True, exist_ok=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whole trainings first, which take up to minutes, and those of a file by one process.

    Of several processes, each of which begins with an equal part of all (xdist's `worksteal`),
    the last begins with tests that do not train: so there are never more trainings than cores.
    """
    processes = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    trainings: list[list[pytest.Item]] = [[] for _ in range(max(1, processes - 1))]
    files: dict[Path, int] = {}
    others = []
    for item in items:
        if item.get_closest_marker("train") is None or "tests/learn/" in item.nodeid:
            others.append(item)
        else:
            number = files.setdefault(item.path, len(files))
            trainings[number % len(trainings)].append(item)
    # What computes in the tests' own process goes before what is quick: at the end there is little.
    others.sort(key=lambda item: item.get_closest_marker("train") is None)
    in_order: list[pytest.Item] = []
    for number in range(processes):
        part = trainings[number] if number < len(trainings) else []
        left = len(items) - len(in_order)
        more = max(0, left // (processes - number) - len(part))
        in_order += [*part, *others[:more]]
        del others[:more]
    items[:] = [*in_order, *others]


def pytest_collection_finish() -> None:
    gc.enable()


def pytest_runtest_setup() -> None:
    global _modules_frozen
    if len(sys.modules) >= _modules_frozen + _MANY_MODULES:
        gc.collect()
        gc.freeze()
        _modules_frozen = len(sys.modules)


@pytest.fixture(autouse=True)
def own_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("AGNEWS_HOME", str(home / "data"))
    monkeypatch.setenv("AGNEWS_CACHE", str(home / "cache"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    for name in (
        "AGNEWS_PLATFORM",
        "AGNEWS_STORE",
        "JPY_PARENT_PID",
        "CI",
        "NO_COLOR",
        "FORCE_COLOR",
    ):
        monkeypatch.delenv(name, raising=False)
    return home


@dataclass(frozen=True)
class Ended:
    """A command that has ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture(scope="session")
def commands() -> Iterator[Commands]:
    server = Commands()
    yield server
    server.close()


@pytest.fixture
def agnews(tmp_path: Path, request: pytest.FixtureRequest) -> Callable[..., Ended]:
    """Run the real command in a process of its own, in `tmp_path`.

    The process is forked from one that has imported the command, unless a variable of Python's
    own is given. A test of starting itself, or of what is imported then, starts one by hand.
    """

    def run(*arguments: object, **env: str) -> Ended:
        words = list(map(str, arguments))
        if not any(name.startswith("PYTHON") for name in env):
            commands = request.getfixturevalue("commands")
            return Ended(*commands.run(words, tmp_path, os.environ | env, 600))
        done = subprocess.run(
            [sys.executable, "-m", "agnews_cli", *words],
            cwd=tmp_path,
            env=os.environ | env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        return Ended(done.returncode, done.stdout, done.stderr)

    return run
