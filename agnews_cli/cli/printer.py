"""Printing beside a run: what is shown waits for its reader in a thread, and nobody else does.

A terminal that was stopped (Ctrl-S), `| less`, a stalled ssh: a write to them blocks for as long as
they like. Here it blocks one thread. What it still has to print is bounded; a reader that is slow
gets all of it, one that does not read gets what fits, and is not waited for at the end.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import termios
import threading
import time
from collections import deque

STALLED_S = 10.0
"""So long without a byte taken, and nobody reads."""
LEAVING_S = 5.0
"""The same when the command is over and only its last lines are waited for."""
_MOST_BYTES = 4 << 20
_PIECE_BYTES = 512  # small: a piece that is taken is a sign of life
_LOOK_S = 0.05
_GONE = (errno.EPIPE, errno.EIO, errno.ECONNRESET)


class Printer:
    """Writes to one file descriptor, in order, on a thread of its own."""

    def __init__(self, handle: int) -> None:
        self._handle = os.dup(handle)
        self._waiting: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._changed = threading.Condition()
        self._is_writing = False
        self._is_closed = False
        self._unread_bytes = 0
        self._alive_s = time.monotonic()
        self._left_out_bytes = 0
        """What found no room, since nobody read."""
        self.fault: OSError | None = None
        threading.Thread(target=self._run, name="printer", daemon=True).start()

    def put(self, text: bytes) -> None:
        """To be written when its turn comes; returns at once."""
        with self._changed:
            if self.fault is not None:
                return
            if self._waiting and self._waiting_bytes + len(text) > _MOST_BYTES:
                self._left_out_bytes += len(text)
                return
            if self._left_out_bytes:
                text = b"\n(%d bytes are left out: nobody read)\n" % self._left_out_bytes + text
                self._left_out_bytes = 0
            if self._is_idle:
                self._alive_s = time.monotonic()
            self._waiting.append(text)
            self._waiting_bytes += len(text)
            self._changed.notify_all()

    @property
    def is_stalled(self) -> bool:
        """Whether nobody reads."""
        return self._silent_s() > STALLED_S

    def drain(self, patience_s: float = LEAVING_S) -> bool:
        """Wait until all is written, as long as somebody reads; whether it is."""
        while not self._is_idle and self.fault is None:
            if self._silent_s() > patience_s:
                return False
            with self._changed:
                self._changed.wait(_LOOK_S)
        return self.fault is None

    @property
    def _is_idle(self) -> bool:
        return not self._waiting and not self._is_writing

    def _silent_s(self) -> float:
        """Seconds since the reader last gave a sign of life, while something waits for it."""
        if self._is_idle:
            return 0.0
        unread_bytes = _unread_bytes(self._handle)
        if unread_bytes < self._unread_bytes:  # a pipe takes more only when a page of it is free
            self._alive_s = time.monotonic()
        self._unread_bytes = unread_bytes
        return time.monotonic() - self._alive_s

    def close(self) -> None:
        """Print no more than what waits, if somebody reads it yet."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()

    def _run(self) -> None:
        try:
            self._print_on()
        finally:
            os.close(self._handle)

    def _print_on(self) -> None:
        while True:
            with self._changed:
                while not self._waiting:
                    self._is_writing = False
                    self._changed.notify_all()
                    if self._is_closed:
                        return
                    self._changed.wait()
                self._is_writing = True
                text = self._waiting.popleft()
                self._waiting_bytes -= len(text)
            try:
                self._write(text)
            except OSError as fault:
                self.fault = fault
                with self._changed:
                    self._waiting.clear()
                    self._is_writing = False
                    self._changed.notify_all()
                return

    def _write(self, text: bytes) -> None:
        while text:
            try:
                written = os.write(self._handle, text[:_PIECE_BYTES])
            except BlockingIOError:  # somebody made it so, for all who have it open
                time.sleep(_LOOK_S)
                continue
            text = text[written:]
            self._alive_s = time.monotonic()


def _unread_bytes(handle: int) -> int:
    """What a pipe or a terminal still holds; 0 where it does not tell."""
    request = termios.TIOCOUTQ if os.isatty(handle) else termios.FIONREAD
    try:
        return int.from_bytes(fcntl.ioctl(handle, request, bytes(4)), "little")
    except OSError:
        return 0


# ---- all that there are --------------------------------------------------------------------------

_printers: dict[tuple[int, int], Printer] = {}
_is_on = False


def begin() -> None:
    """From now on whatever may block is printed beside, until `end`."""
    global _is_on
    _is_on = True


def is_on() -> bool:
    """Whether `begin` was called."""
    return _is_on


def of(handle: int) -> Printer | None:
    """Who prints to what `handle` means; None before `begin`, and for what never blocks.

    Standard output and standard error are often the same terminal: then they have one printer,
    and their lines stay in order.
    """
    if not _is_on:
        return None
    try:
        facts = os.fstat(handle)
    except OSError:
        return None
    key = facts.st_dev, facts.st_ino
    if key not in _printers and _may_block(facts.st_mode, handle):
        _printers[key] = Printer(handle)
    return _printers.get(key)


def end(patience_s: float = LEAVING_S) -> None:
    """Before the command ends: wait for who reads, and print beside no more."""
    global _is_on
    _is_on = False
    for printer in _printers.values():
        printer.drain(patience_s)
        printer.close()
    _printers.clear()


def _may_block(mode: int, handle: int) -> bool:
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or os.isatty(handle)


def is_gone(fault: BaseException | None) -> bool:
    """Whether a fault says that the reader left: a closed pipe, a terminal that hung up."""
    return isinstance(fault, OSError) and fault.errno in _GONE
