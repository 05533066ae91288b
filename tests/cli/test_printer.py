"""Readers that do not read: a pipe that is full, a terminal that was stopped, a slow one."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Iterator

import pytest

from agnews_cli.cli import printer
from agnews_cli.cli.output import Output
from agnews_cli.cli.printer import Printer
from agnews_cli.core.run.job import Event, ReaderLeft, ReaderStalled

LINE = b"x" * 99 + b"\n"


@pytest.fixture(autouse=True)
def apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(printer, "_printers", {})
    monkeypatch.setattr(printer, "_is_on", False)
    monkeypatch.setattr(printer, "STALLED_S", 0.3)


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reader, writer = os.pipe()
    yield reader, writer
    for handle in (reader, writer):
        os.close(handle)


def read(handle: int, size_bytes: int, pause_s: float = 0.0) -> bytes:
    found = b""
    while len(found) < size_bytes:
        found += os.read(handle, 4096)
        time.sleep(pause_s)
    return found


def test_who_does_not_read_holds_nobody_up_and_is_not_waited_for(pipe):
    printed, began_s = Printer(pipe[1]), time.monotonic()
    for _ in range(5000):
        printed.put(LINE)
    assert time.monotonic() - began_s < 1.0
    assert not printed.drain(0.5)
    assert printed.is_stalled
    assert time.monotonic() - began_s < 3.0
    assert read(pipe[0], 5000 * len(LINE)) == 5000 * LINE  # who reads again has lost nothing
    assert printed.drain()
    assert not printed.is_stalled


def test_a_slow_reader_gets_everything(pipe):
    printed = Printer(pipe[1])
    for _ in range(2000):
        printed.put(LINE)
    found: list[bytes] = []
    size_bytes = 2000 * len(LINE)
    reader = threading.Thread(target=lambda: found.append(read(pipe[0], size_bytes, 0.02)))
    reader.start()
    assert printed.drain(0.5)  # longer than the pauses, shorter than it takes
    reader.join()
    assert found == [2000 * LINE]


def test_what_nobody_reads_does_not_fill_memory(pipe, monkeypatch):
    monkeypatch.setattr(printer, "_MOST_BYTES", 10_000)
    printed = Printer(pipe[1])
    for _ in range(10_000):
        printed.put(LINE)
    seen = b""
    while not printed.drain(0.2):  # it catches up
        seen += os.read(pipe[0], 1 << 16)
    printed.put(b"again\n")
    while b"again" not in seen:
        seen += os.read(pipe[0], 1 << 16)
    assert b"bytes are left out: nobody read" in seen
    assert len(seen) < 200_000


def test_a_terminal_that_was_stopped_holds_nobody_up():
    master, slave = pty.openpty()
    termios.tcflow(slave, termios.TCOOFF)  # Ctrl-S
    printed = Printer(slave)
    printed.put(LINE)
    assert not printed.drain(0.3)
    termios.tcflow(slave, termios.TCOON)  # Ctrl-Q
    assert printed.drain()
    assert LINE.strip() in os.read(master, 4096)
    os.close(master)
    os.close(slave)


@pytest.mark.parametrize("env", [{}, {"JPY_PARENT_PID": "7"}, {"TERM": "xterm"}])
def test_progress_on_a_full_terminal_says_so_and_goes_on(env):
    """Plain, in a notebook and with rich's live bar, which draws from a thread of its own."""
    master, slave = pty.openpty()
    termios.tcsetwinsize(slave, (24, 80))
    stream = os.fdopen(slave, "w", encoding="utf-8")
    out = Output(stream=stream, error_stream=stream, env=env)
    termios.tcflow(slave, termios.TCOOFF)
    began_s, stalls = time.monotonic(), 0
    with out.progress(beside=True) as progress:
        for step in range(100):
            note = {"text": f"note {step} " + "y" * 500}
            event = Event(kind="note", at="now", elapsed_s=step, data=note)
            try:
                progress.event(event)
            except ReaderStalled:
                stalls += 1
            time.sleep(0.01)
    assert stalls
    assert time.monotonic() - began_s < 10.0
    seen, give_up_s = b"", time.monotonic() + 20
    termios.tcflow(slave, termios.TCOON)
    while b"note 99" not in seen and time.monotonic() < give_up_s:
        seen += os.read(master, 65536)
    assert all(f"note {step} ".encode() in seen for step in range(100))
    os.close(master)
    stream.close()


def test_a_reader_that_leaves_is_told_apart_from_one_that_stalls(pipe):
    reader, writer = os.pipe()
    os.close(reader)
    stream = os.fdopen(writer, "w", encoding="utf-8")
    out = Output(stream=stream, error_stream=stream, env={})
    with pytest.raises(ReaderLeft) as left, out.progress(beside=True) as progress:
        for step in range(100):
            progress.event(Event(kind="note", at="now", elapsed_s=0.0, data={"text": str(step)}))
            time.sleep(0.01)
    assert left.type is ReaderLeft
    stream.close()


# ---- Ctrl-C --------------------------------------------------------------------------------------

DEAF = """
import hashlib, sys, threading
from agnews_cli.cli import stopping
stopping.answer()
threading.Timer(1.0, lambda: print("ready", flush=True)).start()  # when the call has begun
hashlib.pbkdf2_hmac("sha256", b"", b"", {rounds})  # one call into C: no handler of ours runs
"""


def test_ctrl_c_is_answered_while_the_command_is_deaf_and_a_second_one_ends_it():
    process = subprocess.Popen(
        [sys.executable, "-c", DEAF.format(rounds=200_000_000)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline() == b"ready\n"
    pressed_s = time.monotonic()
    try:
        process.send_signal(signal.SIGINT)
        assert select.select([process.stderr], [], [], 10)[0]
        assert b"Stop again to end it at once" in process.stderr.readline()
        assert time.monotonic() - pressed_s < 2.0  # 0.15 s, and whatever else this machine does
        time.sleep(1.2)
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 130
    finally:
        process.kill()
        process.communicate()
