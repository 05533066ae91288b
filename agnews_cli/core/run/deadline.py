"""When something must be over: of a budget, of a session, or of one last upload.

On the monotonic clock, whose `now` is passed in. Without an end it is never over.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal


@dataclass(frozen=True, slots=True)
class Deadline:
    """`end_s` on the monotonic clock, and what ends then."""

    of: Literal["budget", "session", "upload"]
    end_s: float | None

    @property
    def is_set(self) -> bool:
        """Whether there is an end at all."""
        return self.end_s is not None

    def left_s(self, now_s: float) -> float:
        """Seconds until then; negative when it is over, infinite where there is no end."""
        return math.inf if self.end_s is None else self.end_s - now_s

    def is_over(self, now_s: float) -> bool:
        return self.left_s(now_s) <= 0

    def before(self, reserve_s: float) -> Deadline:
        """So much earlier, to have time for what must still be done."""
        return self if self.end_s is None else replace(self, end_s=self.end_s - reserve_s)

    def at_latest(self, end_s: float) -> Deadline:
        """The same, or `end_s` where that is earlier."""
        return replace(self, end_s=end_s if self.end_s is None else min(self.end_s, end_s))

    def reserve_s(self, wanted_s: float, *, most: float, since_s: float) -> float:
        """What to keep of the time from `since_s` on: `wanted_s`, at most the share `most`."""
        return min(wanted_s, max(0.0, most * self.left_s(since_s)))
