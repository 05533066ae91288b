"""The process that tells a tracker of a run, beside training: nobody waits for it."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections import deque
from contextlib import suppress
from pathlib import Path

from pydantic import ValidationError

from agnews_cli.core.run.tracking import ToTrack, TrackingNote
from agnews_cli.host import children


class TrackerProcess:
    """Started at once; what it says is there when it is asked for."""

    def __init__(self, order: ToTrack, log: Path) -> None:
        """`log`: takes all that the tracker's package prints. Raises OSError."""
        self._order = order
        self._notes: deque[TrackingNote] = deque()
        with log.open("ab") as errors:
            self._process = children.start(
                children.module("agnews_cli.learn.track", order.model_dump_json()),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                start_new_session=True,  # so that Ctrl-C reaches neither it nor what it starts
            )
        self._log = log
        self._listener = threading.Thread(target=self._listen, name="tracker", daemon=True)
        self._listener.start()

    def notes(self) -> list[TrackingNote]:
        """What it said since the last call."""
        found = []
        while self._notes:
            found.append(self._notes.popleft())
        return found

    def ask_to_end(self) -> None:
        """It tells what is left, then ends."""
        assert self._process.stdin
        with suppress(OSError):
            self._process.stdin.close()

    @property
    def is_over(self) -> bool:
        return self._process.poll() is not None

    def end(self) -> None:
        """At once, with all that it started."""
        if not self.is_over:
            with suppress(OSError):
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._listener.join(1.0)

    def _listen(self) -> None:
        assert self._process.stdout
        is_warned = False
        with suppress(OSError, ValueError):
            for line in self._process.stdout:
                with suppress(ValidationError):
                    note = TrackingNote.model_validate_json(line)
                    self._notes.append(note)
                    is_warned = is_warned or note.is_warning
        code = self._process.wait()
        if code and not is_warned:
            text = f"--track {self._order.tracker} ended by itself, as {self._log} says"
            self._notes.append(
                TrackingNote(text=f"{text}; the run goes on without it", is_warning=True)
            )
