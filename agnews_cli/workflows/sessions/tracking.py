"""A run told to a tracker beside its session: it never holds up training, saving or sending."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from agnews_cli.core.run.deadline import Deadline
from agnews_cli.core.run.job import TrainJob
from agnews_cli.core.run.request import Tracker
from agnews_cli.core.run.tracking import FOLDER, ToTrack
from agnews_cli.errors import ExtraMissing
from agnews_cli.host.tracker import TrackerProcess
from agnews_cli.store.run import tracked
from agnews_cli.store.run.runs import RunFolder
from agnews_cli.workflows.sessions.couriers import Note

_POLL_S = 0.1
_LAST_S = 30.0
"""What it may take to tell what is left, when everything else is done."""


def require(tracker: Tracker) -> None:
    """Raises ExtraMissing unless the tracker's package is installed."""
    if tracker == "none":
        return
    found = importlib.util.find_spec(tracker)
    if found is None or found.origin is None:  # a folder that happens to be called so
        raise ExtraMissing(extra=tracker, module=tracker)


class Tracking:
    """Of one session; nothing happens where there is no tracker."""

    def __init__(self, tracker: Tracker, job: TrainJob | None, folder: RunFolder) -> None:
        self._tracker, self._job, self._folder = tracker, job, folder
        self._process: TrackerProcess | None = None
        self._notes: list[Note] = []

    def start(self, *, token: int, is_fresh: bool) -> None:
        """`token`: the session's number, which names a training that `is_fresh`, from step 0."""
        if self._tracker == "none" or self._job is None:
            return
        run = self._job.run
        before = tracked.read(self._folder).get(self._tracker)
        name = run if before is None else before.name
        if is_fresh and before is not None:
            name = f"{run}-again-{token}"
        order = ToTrack(
            tracker=self._tracker,
            name=name,
            run=str(self._folder.path),
            place=str(self._folder.path.parent / FOLDER),
            settings=_settings(self._job),
        )
        try:
            self._process = TrackerProcess(order, self._folder.path / tracked.LOG)
        except OSError as error:
            text = f"--track {self._tracker}: {error}; the run goes on without it"
            self._notes.append(Note(text, True))

    def notes(self) -> list[Note]:
        """What happened since the last call."""
        found, self._notes = self._notes, []
        if self._process is not None:
            found += [Note(each.text, each.is_warning) for each in self._process.notes()]
        return found

    def ask_to_end(self) -> None:
        """The worker is gone: what is left is told while the last upload goes on."""
        if self._process is not None:
            self._process.ask_to_end()

    def finish(self, end: Deadline, *, is_stopped: Callable[[], bool]) -> list[Note]:
        """Wait until it is done, for at most half a minute, `end` or a stop."""
        if self._process is None:
            return self.notes()
        end = end.at_latest(time.monotonic() + _LAST_S)
        while not self._process.is_over and not is_stopped() and not end.is_over(time.monotonic()):
            time.sleep(_POLL_S)
        is_late = not self._process.is_over
        self._process.end()
        found = self.notes()
        if is_late:
            text = f"--track {self._tracker} was not told all: there was no time left for it"
            found.append(Note(f"{text}; the next session tells it what it lacks", True))
        return found


def _settings(job: TrainJob) -> dict[str, Any]:
    """What the run is made with, by dotted names; the preset's descriptions are left out."""
    preset = job.preset.model_dump(mode="json", include={"model", "method", "data", "training"})
    facts = {"preset": job.preset.name, "seed": job.seed, "data": job.dataset.name}
    rows = {"rows": job.dataset.train.rows, "classes": len(job.dataset.labels)}
    return facts | rows | dict(_flat(preset))


def _flat(values: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{before}{name}.")
        elif value is None or isinstance(value, bool | int | float | str):
            yield f"{before}{name}", value
        else:
            yield f"{before}{name}", str(value)
