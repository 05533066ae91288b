"""The notebook around this process: whether there is one, whether it still is there, what to paste.

A command behind `!` or `%agnews` is a child of the kernel, mostly with a shell between them. What
only the kernel can do (mount Drive, read Colab's secrets) it cannot, so it says which cell does.

The ways to be left alone differ. A kernel of Jupyter or Kaggle takes the terminal with it: SIGHUP.
Colab's takes nothing: output fails at the next print, which may be minutes away. And a shell that
was stopped (`cd x && agnews auto`) tells its command nothing at all. So the ancestors are watched.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import PurePath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import psutil

SERVER = "JPY_PARENT_PID"
"""Set for kernels and their children: who started the kernel. It is not the kernel."""
IS_SAID = "AGNEWS_STOP_IS_SAID"
"""Tells a command that whoever started it answers the stop button: `%agnews`, in the kernel."""
_LOOK_EVERY_S = 1.0


class Lifeline:
    """The processes from our parent up to the kernel. When one is gone, nobody reads us any more.

    Where there was no kernel to begin with (a terminal, `nohup agnews … &`), it is never cut.
    """

    def __init__(self) -> None:
        self._above = _up_to_kernel()
        self._looked_s = time.monotonic()
        self._is_cut = False

    def is_cut(self) -> bool:
        """Looks once a second at most; a lifeline that was cut stays cut."""
        now_s = time.monotonic()
        if self._above and not self._is_cut and now_s - self._looked_s >= _LOOK_EVERY_S:
            self._looked_s = now_s
            is_orphan = os.getppid() != self._above[0].pid
            self._is_cut = is_orphan or not all(map(_is_alive, self._above))
        return self._is_cut


def _up_to_kernel() -> list[psutil.Process]:
    """Our ancestors, the parent first and the kernel last; empty without a kernel."""
    import psutil

    above: list[psutil.Process] = []
    try:
        for process in psutil.Process().parents():
            above.append(process)
            if _is_kernel(process, os.environ):
                return above
    except psutil.Error:  # one of them ended while we looked
        pass
    return []


def _is_kernel(process: psutil.Process, env: Mapping[str, str]) -> bool:
    import psutil

    server = env.get(SERVER, "").strip()
    if server.isdecimal() and process.ppid() == int(server) and process.pid != int(server):
        return True
    try:
        arguments = process.cmdline()
    except psutil.AccessDenied:
        return False
    return any(
        "kernel_launcher" in argument  # ipykernel_launcher, colab_kernel_launcher
        or PurePath(argument).match("kernel-*.json")  # its connection file
        for argument in arguments
    )


def _is_alive(process: psutil.Process) -> bool:
    import psutil

    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
