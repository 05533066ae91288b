"""How every process is started, and how one of ours ends with who started it.

`python -m` puts the current folder first on the path, so that a `queue.py` beside the data would be
run in the place of Python's own. With `-P` it does not; the variable is for what our children start
themselves (accelerate, torchrun). What the user has put into PYTHONPATH stays.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import subprocess

_PR_SET_PDEATHSIG = 1
START = "agnews_cli.start"
"""The module that runs another, without looking for garbage in what that imports."""


def module(name: str, *arguments: str) -> list[str]:
    """The command that runs a module with `arguments`."""
    return [sys.executable, "-P", "-m", START, name, *arguments]


def environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """Our environment with `more`, for such a command."""
    return os.environ | dict(more or {}) | {"PYTHONSAFEPATH": "1"}


def start(command: Sequence[str], **options: Any) -> subprocess.Popen[Any]:
    """Start a command, deaf unless `stdin` says otherwise; `options` are those of Popen.

    This and `answer` are the only places that start a process; `env` is `environment()` by default.
    """
    import subprocess

    return subprocess.Popen(
        command,
        stdin=options.pop("stdin", subprocess.DEVNULL),
        env=options.pop("env", None) or environment(),
        **options,
    )


def answer(
    command: Sequence[str], *, timeout_s: float, env: Mapping[str, str] | None = None
) -> tuple[int, bytes] | None:
    """A command's exit code and what it printed; None where it took longer. Raises OSError.

    `env`: of the user's own command it is ours, unchanged.
    """
    import subprocess

    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=env,
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return None
    return done.returncode, done.stdout


def end_with(parent: int) -> None:
    """Called by a child: from now on the system ends it when `parent` ends; only Linux can.

    It ends at once where `parent` has ended already.
    """
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
