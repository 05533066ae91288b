"""The one reader of what a run's worker told: `events.jsonl`, one JSON object a line.

A worker is killed at any moment, a disk gets full, and what lies in a store may be anybody's: so a
file is read as a stream, of a long one its end alone, and what is no event is passed over, counted.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from agnews_cli.core.run.job import Event
from agnews_cli.core.text import strict_json
from agnews_cli.store.disk import files

MOST_BYTES = 16 << 20
"""More than any session of ours has told."""
_LONGEST_BYTES = 1 << 20
"""No line of ours is so long."""


def parse(line: str | bytes) -> Event | None:
    """The event that a line is; None where it is none."""
    try:
        if len(line) > _LONGEST_BYTES:
            return None
        return Event.model_validate(strict_json.parse(line))
    except ValueError:
        return None


def lines(path: Path, most_bytes: int = MOST_BYTES) -> Iterator[bytes]:
    """Lines among the last `most_bytes`, the oldest first, each with its end; what is longer than
    any event is cut. The last one may be torn. None where there is no plain file."""
    with suppress(OSError), files.plain(path) as file:
        left = os.fstat(file.fileno()).st_size
        if left > most_bytes:
            file.seek(left - most_bytes - 1)
            left = most_bytes - len(file.readline(most_bytes)) + 1  # the rest of a line
        is_rest = False
        while left > 0 and (part := file.readline(min(left, _LONGEST_BYTES))):
            left -= len(part)
            if not is_rest:
                yield part
            is_rest = not part.endswith(b"\n")


class Events:
    """Those of a file, as `lines` reads it. May be asked again, and then reads again."""

    def __init__(self, path: Path, most_bytes: int = MOST_BYTES) -> None:
        self._path, self._most_bytes = path, most_bytes
        self.damaged = 0
        """Whole lines that were no events, in what was read so far."""

    def __iter__(self) -> Iterator[Event]:
        self.damaged = 0
        for line in lines(self._path, self._most_bytes):
            event = parse(line)
            if event is not None:
                yield event
            elif line.strip() and (line.endswith(b"\n") or len(line) == _LONGEST_BYTES):
                self.damaged += 1


class Tail:
    """Events that were appended to a file since the last `read`."""

    def __init__(self, path: Path, *, is_new: bool = False) -> None:
        """`is_new`: what is there already is passed over."""
        self._path, self._at = path, 0
        if is_new:
            with suppress(OSError):
                self._at = path.stat().st_size

    def read(self) -> Iterator[Event]:
        """New events; a line still being written waits for the next call.

        What is no event is left out: the rest of a line that a full disk or a kill tore.
        """
        try:
            with files.plain(self._path) as file:
                file.seek(self._at)
                data = file.read(MOST_BYTES)
        except OSError:
            return
        whole = data[: data.rfind(b"\n") + 1]
        if len(data) == MOST_BYTES and not whole:
            whole = data
        self._at += len(whole)
        yield from filter(None, map(parse, whole.split(b"\n")))
