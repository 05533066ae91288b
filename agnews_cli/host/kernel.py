"""What only the kernel of a notebook can do for a command: its Drive, its secrets, its stop button.

Used by `%agnews`, in the kernel's own process. The command itself is always a child: a crash of
it, its memory and its CUDA context are never the kernel's.
"""

from __future__ import annotations

import codecs
import math
import os
import pty
import select
import signal
import subprocess
import termios
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Protocol

from agnews_cli.core.machine.notebook_cells import DRIVE
from agnews_cli.host import children
from agnews_cli.host.notebook import IS_SAID, SERVER

SECRETS = ("HF_TOKEN", "KAGGLE_API_TOKEN", "KAGGLE_USERNAME", "KAGGLE_KEY")
"""What the stores of `agnews` log in with, by the names that the hub and Kaggle give them."""
_WINDOW = (24, 100)
_WAIT_S = 0.5
_PATIENCE_S = 5.0  # after the second press of the stop button


# ---- Drive and secrets ---------------------------------------------------------------------------


def needs_drive(arguments: Sequence[str], env: Mapping[str, str]) -> bool:
    """Whether a command names Google Drive: as the store `drive` or `drive:folder`, or by path."""
    stores = [value for option, value in pairwise(arguments) if option == "--store"]
    stores += [a.partition("=")[2] for a in arguments if a.startswith("--store=")]
    stores += [store.strip() for store in env.get("AGNEWS_STORE", "").split(",")]
    is_store = any(store == "drive" or store.startswith("drive:") for store in stores)
    return is_store or any(DRIVE in word for word in [*arguments, *stores])


def mount_drive() -> None:
    """Mount Google Drive, which asks the user in the browser; nothing where it is mounted."""
    if not Path(DRIVE, "MyDrive").is_dir():
        from google.colab import drive

        drive.mount(DRIVE)


def secrets(platform: str, env: Mapping[str, str]) -> dict[str, str]:
    """The notebook's secrets that `env` lacks, by name. One that is not there or not granted is
    left out: most commands need none."""
    found = {}
    for name in SECRETS:
        if not env.get(name):
            with suppress(Exception):  # each service has its own error for "there is none"
                value = _secret(platform, name)
                if value:
                    found[name] = value
    return found


def _secret(platform: str, name: str) -> str | None:
    if platform == "colab":
        from google.colab import userdata

        return str(userdata.get(name) or "")
    if platform == "kaggle":
        from kaggle_secrets import UserSecretsClient

        return str(UserSecretsClient().get_secret(name) or "")
    return None


# ---- the command ---------------------------------------------------------------------------------


class Screen(Protocol):
    """Where a command's output goes."""

    def line(self, text: str) -> None:
        """A line that stays."""

    def renew(self, text: str) -> None:
        """The line of progress as it stands now."""


def run(arguments: Sequence[str], screen: Screen, *, more: Mapping[str, str]) -> int:
    """`agnews ARGUMENTS` as a child with `more` in its environment; its exit code.

    KeyboardInterrupt is passed on as SIGINT, and the orderly stop awaited; a second one ends the
    command at once, and if that takes long, without asking it.
    """
    reader, writer = _quiet_terminal()
    # IPython in a terminal is no kernel of a server's, but to its child it is the same.
    env = {SERVER: str(os.getppid())} | children.environment({IS_SAID: "1", **more})
    process = children.start(
        children.module("agnews_cli", *arguments),
        stdout=writer,
        stderr=writer,
        env=env,
        start_new_session=True,  # the kernel's own signals go to its process group
    )
    os.close(writer)
    lines = _Lines(screen)
    presses, give_up_s = 0, math.inf
    try:
        while True:
            try:
                if not _pass_on(reader, lines, process):
                    return process.wait()
                if time.monotonic() > give_up_s:
                    process.kill()
            except KeyboardInterrupt:
                presses += 1
                process.send_signal(signal.SIGINT)
                if presses == 1:
                    screen.line("Stopping in good order. Stop again to end it at once.")
                else:
                    give_up_s = time.monotonic() + (_PATIENCE_S if presses == 2 else 0)
    finally:
        if process.poll() is None:  # this function itself failed
            process.kill()
        os.close(reader)


def _quiet_terminal() -> tuple[int, int]:
    """A terminal to read from and to write to, that leaves line ends as they are."""
    reader, writer = pty.openpty()
    termios.tcsetwinsize(writer, _WINDOW)
    settings = termios.tcgetattr(writer)
    settings[1] &= ~termios.OPOST
    termios.tcsetattr(writer, termios.TCSANOW, settings)
    return reader, writer


def _pass_on(reader: int, lines: _Lines, process: subprocess.Popen[bytes]) -> bool:
    """Whether there may be more. What outlives the command is not waited for."""
    has_ended = process.poll() is not None  # asked first: all that it wrote can be read then
    ready, _, _ = select.select([reader], [], [], 0 if has_ended else _WAIT_S)
    if not ready:
        return not has_ended
    try:
        block = os.read(reader, 65536)
    except OSError:  # EIO: nobody has the other side open
        block = b""
    lines.feed(block)
    return bool(block)


class _Lines:
    """Splits output into lines that stay and the one that is renewed with carriage returns."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._rest = ""

    def feed(self, block: bytes) -> None:
        *finished, rest = (self._rest + self._decoder.decode(block, not block)).split("\n")
        self._rest = rest[max(0, rest.rfind("\r", 0, -1)) :]
        for line in finished:
            self._screen.line(_seen(line))
        if not _seen(rest):
            return
        if block:
            self._screen.renew(_seen(rest))
        else:
            self._screen.line(_seen(rest))


def _seen(line: str) -> str:
    """What is on screen of a line that was renewed: all after its last carriage return."""
    return line.rstrip("\r").rpartition("\r")[2].rstrip()
