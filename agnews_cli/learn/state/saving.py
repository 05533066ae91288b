"""Checkpoints beside training: the loop pauses for a copy, a thread writes, one at a time.

A save that is still being written delays the next one (back-pressure). A failed one is a warning;
three in a row stop the run in good order, since a run that cannot be saved is not safe to go on.
What a failed save left is removed at once; on a full disk all but the newest good checkpoint too.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load

from agnews_cli.core.saving.interval import save_interval
from agnews_cli.core.saving.reserve import reserve_s
from agnews_cli.errors import CannotSave, Fenced, NoDiskSpace
from agnews_cli.learn.door.events import EventLog
from agnews_cli.learn.state import serial
from agnews_cli.learn.state.snapshot import Misfit, Snapshot, Tensors
from agnews_cli.store.run.checkpoints import Checkpoints, Draft, Saved, Why
from agnews_cli.store.run.runs import SAVE_NOW

_MOST_FAILURES = 3
_KEPT = 2
_SLOW_DISK_BYTES_S = 100e6  # until one save was measured
_GUARD_S = 1.0


class Saver:
    """Saves and restores one fine-tuning's checkpoints."""

    def __init__(
        self,
        checkpoints: Checkpoints,
        *,
        run: str,
        candidate: str,
        token: int,
        writer: str,
        fingerprint: Mapping[str, str],
        lifetime_s: float,
        every_s: float | None,
        log: EventLog,
        newest_token: Callable[[], int] = lambda: 0,
        sending_s: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self._checkpoints, self._log = checkpoints, log
        self._run, self._candidate, self._token, self._writer = run, candidate, token, writer
        self._fingerprint, self._lifetime_s, self._every_s = dict(fingerprint), lifetime_s, every_s
        self._newest_token, self._measured_sending_s = newest_token, sending_s
        self._sending_s = 0.0
        self._thread: threading.Thread | None = None
        self._failures = 0
        self._error: BaseException | None = None
        self._costs_s: deque[float] = deque(maxlen=100)
        self._guess_s = 0.0
        self._saved_s = time.monotonic()
        self._parent: str | None = None
        self._asked = checkpoints.folder.parents[1] / SAVE_NOW

    # ---- saving ----------------------------------------------------------------------------------

    def expect(self, size_bytes: int) -> None:
        """Say how large a checkpoint will be, so that the first one's cost can be guessed."""
        self._guess_s = size_bytes / _SLOW_DISK_BYTES_S

    @property
    def cost_s(self) -> float:
        """Seconds that the last save took, or a guess before the first."""
        return self._costs_s[-1] if self._costs_s else self._guess_s

    @property
    def interval_s(self) -> float:
        """Seconds between two saves: as asked, or Daly's from what save and sending cost."""
        return self._every_s or save_interval(self.cost_s + self._sending_s, self._lifetime_s)

    @property
    def reserve_s(self) -> float:
        """Seconds to keep before a deadline, so that the last save is whole by then."""
        return reserve_s(self._costs_s, guess_s=self._guess_s, guard_s=_GUARD_S)

    def is_due(self, *, left_s: float) -> bool:
        """Whether it is time to save, or somebody asks, and the last save is written.

        Not when it would run into the last save of a session, `left_s` from now. The first one is
        due when half of that time is over: how long the last one takes is then measured.
        """
        writing = self._thread is not None and self._thread.is_alive()
        waited_s = time.monotonic() - self._saved_s
        is_time = waited_s >= (self.interval_s if self._costs_s else min(self.interval_s, left_s))
        return not writing and left_s > self.cost_s and (is_time or self._asked.exists())

    @property
    def has_failed(self) -> bool:
        """Whether the last save failed; call `finish` first."""
        return self._failures > 0

    def save(self, snapshot: Snapshot, why: Why, *, step: int, wait: bool) -> None:
        """Write `snapshot` in the background, or now with `wait`.

        Raises CannotSave when three saves in a row failed.
        """
        self.finish()
        if self._asked.exists():
            self._asked.unlink(missing_ok=True)
            why = "asked" if why == "interval" else why
        self._saved_s = time.monotonic()
        thread = threading.Thread(target=self._write, args=(snapshot, why, step))
        try:
            thread.start()
        except RuntimeError as error:  # no memory, or no process number, for a thread
            self.failed(error, step=step)
            return
        self._thread = thread
        if wait:
            self.finish()

    def conclude(self, snapshot: Snapshot, *, step: int) -> None:
        """Keep this alone of the fine-tuning: what it was for is known, and it will not go on."""
        self.save(snapshot, "final", step=step, wait=True)
        if not self.has_failed:
            with suppress(Exception):  # older ones only take room
                self._checkpoints.prune(keep=1, fence=self._fence)

    def failed(self, error: Exception, *, step: int) -> None:
        """Count a save of `step` that failed before there was anything to write."""
        self._failures, self._error = self._failures + 1, error
        self._saved_s = time.monotonic()
        self._log("warning", text=f"step {step} was not saved: {error or type(error).__name__}")

    def finish(self) -> None:
        """Wait for the save that is being written."""
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        if isinstance(self._error, Fenced):
            raise self._error
        if self._failures >= _MOST_FAILURES:
            raise CannotSave(times=self._failures, reason=self._error) from self._error

    def _write(self, snapshot: Snapshot, why: Why, step: int) -> None:
        began_s = time.monotonic()
        draft = Draft(
            run=self._run,
            candidate=self._candidate,
            step=step,
            parent=self._parent,
            token=self._token,
            writer=self._writer,
            why=why,
            state=snapshot.state,
            fingerprint=self._fingerprint,
        )
        try:
            self._fence()
            saved = self._checkpoints.save(
                draft,
                {name: serial.parts(tensors) for name, tensors in snapshot.tensors.items()},
                fence=self._fence,
            )
        except Fenced as error:
            self._error = error
            return
        except Exception as error:  # whatever it is, the loop must hear of it
            self.failed(error, step=step)
            with suppress(Exception):
                keep = 1 if isinstance(error, NoDiskSpace) else _KEPT
                self._checkpoints.prune(keep=keep, fence=self._fence)
            return
        self._parent, self._failures = saved.id, 0
        cost_s = time.monotonic() - began_s
        with suppress(Exception):  # it only tells how often to save
            self._sending_s = self._measured_sending_s()
        size_bytes = sum(blob.size_bytes for blob in saved.manifest.blobs.values())
        self._log(
            "saved",
            candidate=self._candidate,
            step=step,
            why=why,
            bytes=size_bytes,
            seconds=round(cost_s, 2),
            # The last save of a session is waited for.
            pause_s=round(cost_s if why == "final" else snapshot.pause_s, 3),
            # Training waits for so long, or shares its processor with the save and its sending.
            cost_s=round(snapshot.pause_s + cost_s + self._sending_s, 3),
        )
        try:
            self._checkpoints.prune(keep=_KEPT, fence=self._fence)
        except Fenced as error:
            self._error = error
        except Exception as error:  # it is saved all the same
            self._log("warning", text=f"older checkpoints were not removed: {error}")
        self._costs_s.append(snapshot.pause_s + time.monotonic() - began_s)

    def _fence(self) -> None:
        newest = self._newest_token()
        if newest > self._token:
            raise Fenced(newest=newest, token=self._token)

    # ---- restoring -------------------------------------------------------------------------------

    def newest(self, *, most_bytes: int | None = None) -> tuple[Saved, dict[str, Tensors]] | None:
        """The newest checkpoint that verifies, read; those passed over are told of.

        Raises Misfit where it is another run's, or where verified content is no safetensors.
        """
        found, skipped = self._checkpoints.read_newest(most_bytes=most_bytes)
        for bad in skipped:
            self._log("warning", text=f"checkpoint {bad.id} is passed over: {bad.reason}")
        if found is None:
            return None
        saved, blobs = found
        of = f"{saved.manifest.run}, {saved.manifest.candidate}"
        if of != f"{self._run}, {self._candidate}":
            raise Misfit(f"{saved.id} is a checkpoint of {of}")
        try:
            tensors = {name: load(blobs.pop(name)) for name in tuple(blobs)}
        except SafetensorError as error:
            raise Misfit(f"{saved.id}: {error}") from error
        self._parent = saved.id
        return saved, tensors


def changes(before: Mapping[str, str], now: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """What differs between two fingerprints: name to (before, now)."""
    names = sorted(set(before) | set(now))
    found = {name: (before.get(name, "nothing"), now.get(name, "nothing")) for name in names}
    return {name: pair for name, pair in found.items() if pair[0] != pair[1]}


def kept_in(state: Mapping[str, Any], name: str) -> Any:
    """A part of a checkpoint's state. Raises Misfit when it is missing."""
    if name not in state:
        raise Misfit(f"the state has no {name!r}")
    return state[name]
