"""TensorBoard: one folder of event files a run, and a file in it for each session."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from agnews_cli.core.run.tracking import Point, ToTrack

EXAMPLE: Mapping[str, str] = {}


def begin(order: ToTrack, sent: Mapping[str, int]) -> _Run:
    """What the folder has counts, and not `sent`: another machine's folder is another one."""
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

    folder = Path(order.place) / "tensorboard" / order.name
    there = _steps(folder)
    run = _Run(EventFileWriter(str(folder)), there, folder.parent)
    if not there:
        run.describe(order.settings)
    return run


def _steps(folder: Path) -> dict[str, int]:
    """The last step of each series that the folder's files hold; a torn end is no error."""
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

    found: dict[str, int] = {}
    for path in sorted(folder.glob("events.out.tfevents.*")):
        for event in EventFileLoader(str(path)).Load():
            for value in event.summary.value:
                found[value.tag] = max(event.step, found.get(value.tag, -1))
    return found


class _Run:
    def __init__(self, writer: Any, sent: dict[str, int], folder: Path) -> None:
        self._writer, self.sent, self._folder = writer, sent, folder

    @property
    def where(self) -> str:
        return f"tensorboard --logdir {shlex.quote(str(self._folder))}"

    def describe(self, settings: Mapping[str, Any]) -> None:
        from tensorboard.plugins.text.summary_v2 import text_pb

        rows = "\n".join(f"| {name} | {value} |" for name, value in settings.items())
        self._write(0, text_pb("settings", f"| setting | value |\n| --- | --- |\n{rows}"), None)

    def add(self, points: Sequence[Point]) -> None:
        from tensorboard.plugins.scalar.summary_v2 import scalar_pb

        for point in points:
            for series, value in point.figures.items():
                self._write(point.step, scalar_pb(series, value), point.at)
                self.sent[series] = point.step
        self._writer.flush()

    def close(self, figures: Mapping[str, float], *, is_completed: bool) -> None:
        from tensorboard.plugins.scalar.summary_v2 import scalar_pb

        for name, value in figures.items():
            if name not in self.sent:
                self._write(0, scalar_pb(name, value), None)
        self._writer.close()

    def _write(self, step: int, summary: Any, at: str | None) -> None:
        from tensorboard.compat.proto.event_pb2 import Event

        moment = datetime.now().astimezone() if at is None else datetime.fromisoformat(at)
        event = Event(wall_time=moment.timestamp(), step=step, summary=summary)
        self._writer.add_event(event)
