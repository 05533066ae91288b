"""The time that a budget leaves: asked for again and again, so that it never runs out unnoticed."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field

from agnews_cli.core.run.job import Job
from agnews_cli.core.text import duration
from agnews_cli.errors import BudgetTooShort
from agnews_cli.learn.door.events import StopFlag

# What remains after training: writing files, the report, leaving both processes.
_CLOSING_S = 3.0
# A first model needs so much after its rows are read.
_LEAST_AFTER_READING_S = 15.0
# A budget shorter than this is trained anew rather than saved: what is decided may hang on speed.
LEAST_SAVED_S = 1800.0
_TRUSTED_S = 3.0  # of work before what is left of it is extrapolated


class OutOfTime(Exception):
    """The budget is used up; what there is by now is delivered."""


@dataclass(slots=True)
class TimeBudget:
    """`given_s` from `started_s` on; None: as long as it takes."""

    stop: StopFlag
    given_s: float | None
    started_s: float
    _begun: dict[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, job: Job, stop: StopFlag) -> TimeBudget:
        started_s = job.started_monotonic_s
        given_s = job.budget.left_s(started_s) if job.budget.is_set else None
        return cls(stop, given_s, started_s)

    @property
    def end_s(self) -> float | None:
        """When training must be over, on the monotonic clock."""
        return None if self.given_s is None else self.started_s + self.given_s - _CLOSING_S

    @property
    def left_s(self) -> float:
        """Seconds until then; infinite without a budget."""
        return math.inf if self.end_s is None else self.end_s - time.monotonic()

    @property
    def is_short(self) -> bool:
        """Whether it is so short that the clock may decide what a later session need not repeat."""
        return self.given_s is not None and self.given_s < LEAST_SAVED_S

    def check(self) -> None:
        """Raise StopRequested when a stop was asked for, OutOfTime when time is up."""
        self.stop.check()
        if self.left_s <= 0:
            raise OutOfTime

    def require(self, what: str, *, done: int, total: int) -> None:
        """Raise BudgetTooShort once it is clear that `what`, which must be, ends too late."""
        self.stop.check()
        if self.end_s is None:
            return
        now_s = time.monotonic()
        worked_s = now_s - self._begun.setdefault(what, now_s)
        rest_s = worked_s * (total - done) / done if done else 0.0
        is_clear = worked_s >= _TRUSTED_S and rest_s > self.left_s + _LEAST_AFTER_READING_S
        if is_clear:
            takes = f"{what} alone takes about {duration.show(worked_s + rest_s)}"
            raise self.too_short(takes, more_s=rest_s)
        if self.left_s <= 0:
            raise self.too_short(f"it was used up before {what} was done", more_s=rest_s)

    def too_short(self, reason: str, *, more_s: float = 0.0) -> BudgetTooShort:
        """The error for a budget that ended before there was a model; `more_s`: still needed."""
        assert self.given_s is not None
        past_s = time.monotonic() - self.started_s
        needed_s = max(past_s + more_s + _LEAST_AFTER_READING_S, 1.25 * self.given_s)
        return BudgetTooShort(
            given=duration.show(self.given_s),
            reason=reason,
            least=f"{math.ceil(needed_s / 10) * 10:.0f}s",
        )
