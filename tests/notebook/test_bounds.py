"""How much a long run leaves in the notebook's file, on a clock that is turned by hand."""

from __future__ import annotations

import json
import os
import pty
import termios
import threading

import pytest

from agnews_cli.cli.output import Output
from agnews_cli.core.run.job import Event
from agnews_cli.host.kernel import _Lines

MEGABYTE = 1_000_000
FORCED = {"JPY_PARENT_PID": "7", "FORCE_COLOR": "1", "CLICOLOR_FORCE": "1"}


def event(kind, elapsed_s: float, **data) -> Event:
    return Event(kind=kind, at="2026-11-25T10:00:00+00:00", elapsed_s=elapsed_s, data=data)


def long_run(hours: float) -> bytes:
    """What a run of so many hours writes into Colab's terminal: a step twice a second, and far
    more checkpoints and validations than a run takes."""
    reader, writer = pty.openpty()
    assert termios.tcgetwinsize(writer) == (0, 0)
    written = bytearray()

    def read() -> None:
        while True:
            try:
                block = os.read(reader, 65536)
            except OSError:
                return
            written.extend(block)

    thread = threading.Thread(target=read)
    thread.start()
    now_s = 0.0
    with os.fdopen(writer, "w", encoding="utf-8") as stream:
        out = Output(stream=stream, error_stream=stream, env=FORCED, clock=lambda: now_s)
        with out.progress() as progress:
            progress.event(event("phase", 0, name="fine-tuning"))
            for step in range(int(hours * 3600 * 2)):
                now_s = step / 2
                figures = {
                    "loss": 0.31274,
                    "examples_per_s": 1321.53,
                    "left_s": 3600 * hours - now_s,
                }
                where = {"candidate": "deberta-v3-base", "step": step, "total_steps": 216000}
                progress.event(event("progress", now_s, **where, **figures))
                if step % 20 == 19:
                    progress.event(event("saved", now_s, step=step, seconds=1.52))
                if step % 120 == 119:
                    progress.event(
                        event("validated", now_s, **where, loss=0.3, accuracy=0.93, best=True)
                    )
            progress.event(event("ended", now_s, state="completed"))
    thread.join(10)
    os.close(reader)
    return bytes(written)


def in_a_file(text: str) -> int:
    """Bytes of a notebook's file with `text` below a cell, carriage returns and all."""
    output = {"output_type": "stream", "name": "stdout", "text": text.splitlines(keepends=True)}
    return len(json.dumps({"outputs": [output]}, indent=1))


@pytest.mark.parametrize("hours", [1, 12])
def test_behind_an_exclamation_mark(hours):
    written = long_run(hours).decode()
    size = in_a_file(written)
    print(f"{hours} h: {size / MEGABYTE:.2f} MB")
    assert 50_000 * hours < size < MEGABYTE * (1 if hours == 1 else 2)
    assert "\x1b" not in written
    assert written.splitlines()[-1].rstrip().endswith("work completed")


def test_behind_the_magic():
    class Screen:
        """Keeps what a notebook's file keeps."""

        def __init__(self) -> None:
            self.lines: list[str] = []
            self.renewed = 0
            self.last = ""

        def line(self, text: str) -> None:
            self.lines.append(text)

        def renew(self, text: str) -> None:
            self.renewed += 1
            self.last = text

    screen = Screen()
    lines = _Lines(screen)
    written = long_run(1).replace(b"\r\n", b"\n")  # the magic's terminal leaves line ends alone
    for start in range(0, len(written), 97):  # about a line in each block
        lines.feed(written[start : start + 97])
    lines.feed(b"")
    assert 500 < screen.renewed < 3600
    kept = "\n".join([*screen.lines, screen.last])
    assert in_a_file(kept) < MEGABYTE / 10 * 2
    assert not any("examples/s" in line for line in screen.lines)
    assert screen.lines[-1].endswith("work completed")
    assert sum("saved at step" in line for line in screen.lines) == 360
