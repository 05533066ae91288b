"""A server in a process of its own, which can be killed and started again at the same port."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


class ServerProcess:
    """Runs `python -m module …` until `stop`; `kill` is a kill -9."""

    def __init__(self, module: str, *arguments: str, port: int) -> None:
        self.port = port
        self._command = [sys.executable, "-m", module, *arguments]
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        root = str(Path(__file__).parents[2])
        self._process = subprocess.Popen(
            self._command,
            cwd=root,
            env=os.environ | {"PYTHONPATH": root},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        give_up = time.monotonic() + 60
        while True:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return
            assert self._process.poll() is None, f"{self._command} ended"
            assert time.monotonic() < give_up
            time.sleep(0.05)

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        self.kill()
