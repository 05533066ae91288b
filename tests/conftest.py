"""Each test has a home, cache and working folder of its own, and no hub: nothing here downloads."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest


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


@pytest.fixture
def agnews(tmp_path: Path) -> Callable[..., Ended]:
    """Run the real command in a process of its own, in `tmp_path`."""

    def run(*arguments: object, **env: str) -> Ended:
        done = subprocess.run(
            [sys.executable, "-m", "agnews_cli", *map(str, arguments)],
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
