"""The quota of one resource as time passes: sessions draw on it, periods end."""

from __future__ import annotations

import math
from collections.abc import Sequence

from agnews_cli.core.plan.instance import Quota

_EPS = 1e-6
_INF = math.inf


class Pool:
    """The quota of one resource as time passes."""

    def __init__(self, quota: Quota) -> None:
        self._quota = quota
        self._periods = quota.periods()
        self._now_s = 0.0
        self.begins_s, self.ends_s, self.left_s = next(self._periods)

    def advance(self, to_s: float, sessions: int) -> None:
        now_s = self._now_s
        while to_s >= self.ends_s - _EPS:
            now_s = self.ends_s
            self.begins_s, self.ends_s, self.left_s = next(self._periods)
        self.left_s -= sessions * max(0.0, to_s - now_s)
        self._now_s = to_s

    def give_back(self, ended_s: float, now_s: float) -> None:
        self.left_s += max(0.0, now_s - max(ended_s, self.begins_s))

    def late_s(self, sessions: int) -> float:
        """From when on `sessions` can be open without a break until quota returns."""
        return self.ends_s - max(0.0, self.left_s) / sessions

    def empty_s(self, now_s: float, others: Sequence[float], until_s: float) -> float:
        """When a session open from now on finds the quota used up; later than `until_s`: infinity.

        `others`: when each other session that draws on it ends.
        """
        at_s, ends_s, left_s = now_s, self.ends_s, max(0.0, self.left_s)
        quota = self._quota
        most_s = max(0.0, quota.period_quota_s - quota.reserve_s)
        while at_s < until_s:
            still = [other for other in others if other > at_s + _EPS]
            sessions = 1 + len(still)
            next_s = min([ends_s, *still])
            if at_s + left_s / sessions < next_s - _EPS:
                return at_s + left_s / sessions
            left_s -= sessions * (next_s - at_s)
            at_s = next_s
            if at_s >= ends_s - _EPS:
                ends_s, left_s = ends_s + quota.period_s, most_s
        return _INF
