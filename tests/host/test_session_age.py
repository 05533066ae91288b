"""The age of the platform's session: what is told, then the oldest of kernel and container."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import pytest

from agnews_cli.host import session_age as module
from agnews_cli.host.session_age import ENV, session_age


@pytest.fixture(autouse=True)
def nothing_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(ENV, raising=False)


def test_what_the_user_says_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ENV, str(time.time() - 7200))
    age = session_age()
    assert age is not None
    assert (round(age.seconds / 60), age.source, age.is_estimate) == (120, ENV, False)
    told = (datetime.now(UTC) - timedelta(hours=3)).isoformat()
    age = session_age(told)
    assert age is not None
    assert (round(age.seconds / 60), age.source) == (180, "as told")
    naive = (datetime.now(UTC) - timedelta(hours=3)).replace(tzinfo=None).isoformat()
    assert session_age(naive).seconds == pytest.approx(3 * 3600, abs=5)  # type: ignore[union-attr]
    future = session_age(str(time.time() + 99))
    assert future is not None and future.seconds == 0
    for bad in ("yesterday", "nan", "inf"):
        with pytest.raises(ValueError, match=r"time|format"):
            session_age(bad)


def test_the_oldest_of_kernel_and_container(monkeypatch: pytest.MonkeyPatch) -> None:
    first = psutil.Process(1).create_time()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as kernel:
        monkeypatch.setenv("JPY_PARENT_PID", str(kernel.pid))
        age = session_age()
        kernel.communicate(b"\n")
    assert age is not None
    assert age.source == "process 1's start"  # older than any child of ours
    assert age.seconds == pytest.approx(time.time() - first, abs=5)
    assert age.is_estimate


def test_a_kernel_older_than_the_container_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JPY_PARENT_PID", str(os.getpid()))
    mine = psutil.Process().create_time()
    started = {str(os.getpid()): mine, "1": mine + 60}
    monkeypatch.setattr(module, "_started_s", started.get)
    age = session_age()
    assert age is not None and age.source == "the kernel's start"


def test_the_uptime_is_the_last_resort(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(module, "_started_s", lambda pid: None)
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/uptime").write_text("1234.5 99\n")
    age = session_age(root=tmp_path)
    assert age is not None
    assert (age.seconds, age.source) == (1234.5, "/proc/uptime")
    (tmp_path / "proc/uptime").write_text("")
    assert session_age(root=tmp_path) is None


def test_a_wrong_number_of_a_process_tells_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    for wrong in ("", "x", "-1", "999999999", "9" * 40):
        assert module._started_s(wrong) is None
