"""The worker's side of the door: events appended to a file, signals turned into a flag."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any

from agnews_cli.core.run.deadline import Deadline
from agnews_cli.core.run.job import Event
from agnews_cli.core.text.redaction import redact, redact_prose
from agnews_cli.store.settings import secrets


class EventLog:
    """Appends events, one JSON object a line. Only the main process of a run writes.

    A line that the disk does not take is left out and training goes on: no event is worth a run.
    A torn line, of a killed process or a full disk, is closed before the next one begins.
    """

    def __init__(self, path: Path, *, started_monotonic_s: float, writes: bool) -> None:
        self._started_s = started_monotonic_s
        self._secrets = secrets.known()
        self._handle: int | None = None
        if writes:
            flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW
            self._handle = os.open(path, flags, 0o600)
            size_bytes = os.fstat(self._handle).st_size
            is_torn = size_bytes and os.pread(self._handle, 1, size_bytes - 1) != b"\n"
            self._before = b"\n" if is_torn else b""

    def __call__(self, kind: Any, **data: Any) -> None:
        if self._handle is None:
            return
        elapsed_s = time.monotonic() - self._started_s
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        data = redact_prose(data, self._secrets)
        event = Event(kind=kind, at=now, elapsed_s=round(elapsed_s, 3), data=data)
        self._append(self._handle, event.model_dump_json().encode() + b"\n")
        # The worker's standard output is the run's log file.
        facts = " ".join(f"{name}={_plain(value)}" for name, value in data.items())
        with contextlib.suppress(OSError, ValueError):  # full, or closed
            sys.stdout.write(f"{now} {kind} {facts}\n")

    def _append(self, handle: int, line: bytes) -> None:
        line = self._before + line
        try:
            written = os.write(handle, line)  # in one piece: two threads write
        except OSError:
            return
        self._before = b"\n" if written < len(line) else b""


def _plain(value: Any) -> str:
    """Without anything that a terminal would obey when the log is read there."""
    text = str(value)
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


class WithoutSecrets:
    """A text stream that hides secrets of this process and what looks like one."""

    def __init__(self, stream: Any) -> None:
        self._stream, self._secrets = stream, secrets.known()

    def write(self, text: str) -> int:
        self._stream.write(redact(text, self._secrets))
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class StopRequested(Exception):
    """Someone asked the worker to stop; raised at the next safe place."""


class StopFlag:
    """Set by SIGINT, SIGTERM or SIGHUP; the loop looks at it between steps.

    A second SIGINT ends the process at once: what is committed on disk stays. A session's end
    (less `reserve_s` for the last save) sets it too.
    """

    def __init__(self, session_end: Deadline = Deadline("session", None)) -> None:  # noqa: B008
        self._is_asked = False
        self._end = session_end
        self.reserve_s = 0.0
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._on_signal)

    def ask(self) -> None:
        """Ask for a stop, as a signal does."""
        self._is_asked = True

    def ask_without(self, pid: int) -> None:
        """Ask for a stop once process `pid` is gone: nobody would see what is done for it."""

        def watch() -> None:
            import psutil

            with contextlib.suppress(psutil.NoSuchProcess):
                process = psutil.Process(pid)
                while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                    time.sleep(1.0)
            self.ask()

        threading.Thread(target=watch, daemon=True).start()

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if self._is_asked and number == signal.SIGINT:
            os._exit(130)
        self._is_asked = True

    @property
    def is_set(self) -> bool:
        return self._is_asked or self.left_s <= 0

    @property
    def is_deadline(self) -> bool:
        """Whether who stops now does so for the session's end: nobody asked, and it has one.

        That end may still lie ahead: a step or a validation that would not fit is not begun.
        """
        return not self._is_asked and self._end.is_set

    @property
    def left_s(self) -> float:
        """Seconds until the session must stop; infinite where it has no end."""
        return self._end.before(self.reserve_s).left_s(time.monotonic())

    def check(self) -> None:
        """Raise StopRequested when a stop was asked for."""
        if self.is_set:
            raise StopRequested
