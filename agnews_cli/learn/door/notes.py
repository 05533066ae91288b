"""What the worker tells: events as they come, and what the last screen repeats."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from agnews_cli.learn.door.events import EventLog

_EVERY_S = 1.0


@dataclass(slots=True)
class Notes:
    """Notes pass by; warnings, and what was decided about the result, are kept."""

    log: EventLog
    kept: list[str] = field(default_factory=list)
    """For `Outcome.notes`."""
    why: str = ""
    """For `Outcome.why`."""

    def note(self, text: str) -> None:
        self.log("note", text=text)

    def decided(self, text: str) -> None:
        self.log("note", text=text)
        self.kept.append(text)

    def chose(self, text: str) -> None:
        self.log("note", text=text)
        self.why = text

    def warn(self, text: str) -> None:
        self.log("warning", text=text)
        self.kept.append(text)

    def work(self, name: str, total: int) -> Callable[[int], None]:
        """Hears how much of `total` is done, and tells of it every second with the rate."""
        began_s = told_s = time.monotonic()

        def hear(done: int) -> None:
            nonlocal told_s, began_s
            now_s = time.monotonic()
            if not done:
                began_s = told_s = now_s
            if now_s - told_s < _EVERY_S:
                return
            told_s = now_s
            per_s = done / (now_s - began_s)
            left_s = max(0, total - done) / per_s
            self.log(
                "work",
                name=name,
                done=done,
                total=total,
                per_s=round(per_s, 1),
                left_s=round(left_s, 1),
            )

        return hear
