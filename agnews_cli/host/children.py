"""How every Python process of ours is started, and how it ends with who started it.

`python -m` puts the current folder first on the path, so that a `queue.py` beside the data would be
run in the place of Python's own. With `-P` it does not; the variable is for what our children start
themselves (accelerate, torchrun). What the user has put into PYTHONPATH stays.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress

_PR_SET_PDEATHSIG = 1


def module(name: str, *arguments: str) -> list[str]:
    """The command that runs a module with `arguments`."""
    return [sys.executable, "-P", "-m", name, *arguments]


def environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """Our environment with `more`, for such a command."""
    return os.environ | dict(more or {}) | {"PYTHONSAFEPATH": "1"}


def end_with(parent: int) -> None:
    """Called by a child: from now on the system ends it when `parent` ends; only Linux can.

    It ends at once where `parent` has ended already.
    """
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
