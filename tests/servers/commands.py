"""Forks a process for each command: to start Python and import the light world takes the time.

`python -m tests.servers.commands SOCKET` gets orders with the two pipes that a command writes to,
or with the terminal that it is on.
"""

from __future__ import annotations

import atexit
import fcntl
import gc
import importlib
import json
import os
import pkgutil
import socket
import subprocess
import sys
import termios
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NoReturn

_ROOT = Path(__file__).parents[2]
_MOST_BYTES = 1 << 20
# Rooms of their own, and clients that may be missing or read the environment when imported.
_LEFT_OUT = ("agnews_cli.learn", "agnews_cli.store.remotes.", "agnews_cli.__main__")


class Commands:
    """The process that forks, started by the first command."""

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", __name__, str(theirs.fileno())],
                cwd=_ROOT,
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )

    def run(
        self, arguments: list[str], cwd: Path, env: Mapping[str, str], timeout_s: float
    ) -> tuple[int, str, str]:
        """(exit code as of `subprocess`, standard output, standard error)."""
        with ThreadPoolExecutor(2) as readers:
            pipes = [os.pipe(), os.pipe()]
            self._order(arguments, cwd, env, [write for _, write in pipes])
            said = [readers.submit(_all_of, read) for read, _ in pipes]
            return self.code(timeout_s), said[0].result(), said[1].result()

    def on_terminal(
        self, arguments: list[str], cwd: Path, env: Mapping[str, str], size: tuple[int, int]
    ) -> int:
        """Our side of the terminal that the command runs on; its `code` must be asked for."""
        ours, theirs = os.openpty()
        termios.tcsetwinsize(theirs, size)
        self._order(arguments, cwd, env, [theirs])
        return ours

    def _order(
        self, arguments: list[str], cwd: Path, env: Mapping[str, str], handles: list[int]
    ) -> None:
        order = json.dumps(
            {"arguments": arguments, "cwd": str(cwd), "env": {n: str(v) for n, v in env.items()}}
        )
        socket.send_fds(self._socket, [order.encode()], handles)
        for handle in handles:
            os.close(handle)

    def code(self, timeout_s: float) -> int:
        """The exit code of the command that runs."""
        self._socket.settimeout(timeout_s)
        answer = self._socket.recv(100)
        assert answer, "the process that forks has ended"
        return int(answer)

    def close(self) -> None:
        self._socket.close()
        self._process.wait(30)


def _all_of(pipe: int) -> str:
    with os.fdopen(pipe, encoding="utf-8") as stream:
        return stream.read()


def _import_the_light_world() -> None:
    import agnews_cli

    for found in pkgutil.walk_packages(agnews_cli.__path__, "agnews_cli."):
        if not found.name.startswith(_LEFT_OUT):
            importlib.import_module(found.name)
    for name in ("psutil", "questionary", "rich.console", "rich.table", "sqlite3", "typer"):
        importlib.import_module(name)
    gc.freeze()


def main(number: str) -> None:
    _import_the_light_world()
    with socket.socket(fileno=int(number)) as orders:
        while True:
            order, pipes, _, _ = socket.recv_fds(orders, _MOST_BYTES, 2)
            if not order:
                return
            if (pid := os.fork()) == 0:
                orders.close()
                _become(json.loads(order), pipes)
            for pipe in pipes:
                os.close(pipe)
            _, status = os.waitpid(pid, 0)
            orders.send(str(os.waitstatus_to_exitcode(status)).encode())


def _become(order: dict, pipes: list[int]) -> NoReturn:
    """What `python -m agnews_cli` is with this order."""
    from agnews_cli.cli.main import main as agnews

    os.environ.clear()
    os.environ.update(order["env"])
    os.chdir(order["cwd"])
    sys.path[0] = order["cwd"]
    if len(pipes) == 1:  # a terminal, and what a shell there makes of it
        os.setsid()
        fcntl.ioctl(pipes[0], termios.TIOCSCTTY, 0)
        pipes *= 3
    for number, pipe in enumerate(pipes, 3 - len(pipes)):
        os.dup2(pipe, number)
    for pipe in set(pipes):
        os.close(pipe)
    sys.argv = ["agnews", *order["arguments"]]
    try:
        agnews()
    except SystemExit as end:
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(int(end.code or 0))  # to take all modules down would copy all their pages
    os._exit(1)


if __name__ == "__main__":
    main(sys.argv[1])
