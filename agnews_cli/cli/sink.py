"""What a command's lines go to: found out once, and written to without raising or blocking."""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Literal, TextIO

from agnews_cli.cli import printer, screens
from agnews_cli.cli.printer import Printer

if TYPE_CHECKING:
    from rich.console import Console

Sink = Literal["terminal", "notebook", "plain"]
Size = tuple[int, int]
"""Columns and lines."""


def classify_sink(
    stream: TextIO | None, env: Mapping[str, str], *, size: tuple[int, int] | None
) -> Sink:
    """Who reads `stream`. `size` is its window (columns, lines), None where it has none.

    A pipe or file is plain even inside a notebook: `!agnews … | tee log` shall not fill the log
    with carriage returns.
    """
    if env.get("KAGGLE_KERNEL_RUN_TYPE", "").lower() == "batch":
        return "plain"
    if env.get("CI", "").lower() not in {"", "0", "false"}:
        return "plain"
    if type(stream).__module__.partition(".")[0] == "ipykernel":
        return "notebook"  # in the kernel itself, where isatty() is False
    if not is_tty(stream) or env.get("TERM", "").lower() in {"dumb", "unknown"}:
        return "plain"
    markers = ("JPY_PARENT_PID", "KAGGLE_KERNEL_RUN_TYPE", "COLAB_RELEASE_TAG")
    if any(env.get(name) for name in markers):
        return "notebook"
    is_real = size is not None and min(size) > 0
    return "terminal" if is_real else "notebook"


def is_tty(stream: TextIO | None) -> bool:
    try:
        return stream is not None and stream.isatty()
    except ValueError:  # closed
        return False


def window_of(stream: Any) -> Size | None:
    try:
        columns, lines = os.get_terminal_size(stream.fileno())
    except (OSError, ValueError, AttributeError):
        return None
    return columns, lines


def mend_window(stream: Any) -> None:
    """Give a window of 0 × 0 (Colab's) a size, for the libraries that divide by it or go silent."""
    import termios

    with suppress(OSError, ValueError, termios.error):
        termios.tcsetwinsize(stream.fileno(), (24, screens.WIDTH))


refusals: list[str] = []
"""Why standard output took no more, where its reader did not just leave."""


class Closed(io.TextIOBase):
    """Standard output where there is none (`agnews … >&-`): what is written is lost, and known."""

    def write(self, text: str) -> int:
        if not refusals:
            refusals.append("it is closed")
        return len(text)


class Stream:
    """A text stream whose reader may leave: writing never raises, and characters always fit.

    While a run is shown (`printer.begin`) it never blocks either.
    """

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream
        self._fault: OSError | ValueError | None = None
        self.encoding = (stream and stream.encoding) or "utf-8"

    @property
    def fault(self) -> OSError | ValueError | None:
        """Why nothing more can be written."""
        beside = self._beside()
        return self._fault or (beside.fault if beside is not None else None)

    @property
    def is_broken(self) -> bool:
        return self._stream is None or self.fault is not None

    @property
    def is_stalled(self) -> bool:
        """Whether nobody has read for a while what waits to be printed."""
        beside = self._beside()
        return beside is not None and beside.is_stalled

    def write(self, text: str) -> int:
        if self._stream is None or self.is_broken:
            return len(text)
        beside = self._beside()
        if beside is not None:
            beside.put(text.encode(self.encoding, "replace"))
            return len(text)
        try:
            try:
                self._stream.write(text)
            except UnicodeEncodeError:
                fitting = text.encode(self.encoding, "replace").decode(self.encoding)
                self._stream.write(fitting)
        except (OSError, ValueError) as fault:
            self._give_up(fault)
        return len(text)

    def flush(self) -> None:
        if self._stream is not None and not self.is_broken and self._beside() is None:
            try:
                self._stream.flush()
            except (OSError, ValueError) as fault:
                self._give_up(fault)

    def settle(self) -> None:
        """Wait until all is written, as long as somebody reads."""
        beside = self._beside()
        if beside is not None:
            beside.drain()
        else:
            self.flush()

    def _beside(self) -> Printer | None:
        if self._stream is None or not printer.is_on():
            return None
        try:
            return printer.of(self._stream.fileno())
        except (OSError, ValueError, AttributeError):  # a stream of Python's own, or a closed one
            return None

    def isatty(self) -> bool:
        return is_tty(self._stream)

    def fileno(self) -> int:
        if self._stream is None:
            raise OSError(errno.EBADF, "the stream is closed")
        return self._stream.fileno()

    def line(self, text: str) -> None:
        self.write(text + "\n")
        self.flush()

    def _give_up(self, fault: OSError | ValueError) -> None:
        self._fault = fault
        if self._stream is sys.stdout and not printer.is_gone(fault):
            refusals.append(getattr(fault, "strerror", None) or str(fault))
        # What is still buffered would be written again when Python exits, and fail there.
        if self._stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, self.fileno())
                os.close(nowhere)


def fit(console: Console) -> None:
    """Follow the window of the console's own stream; rich would ask standard input's.

    No wider than can be read: tables and sentences do not spread over a wide screen.
    """
    size = window_of(console.file)
    if size is not None and min(size) > 0:
        console.size = (min(size[0], screens.WIDEST), size[1])
