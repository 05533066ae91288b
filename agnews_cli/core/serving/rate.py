"""How often each client may ask: a token bucket each, in which a burst of one second fits."""

from __future__ import annotations

from collections import OrderedDict

MOST_CLIENTS = 10_000
"""That are remembered; whoever was away the longest is forgotten, and begins with a full bucket."""


class Allowances:
    """Of every client. The caller says what time it is."""

    def __init__(self, per_s: float) -> None:
        self._per_s = per_s
        self._most = max(1.0, per_s)
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait_s(self, client: str, now_s: float) -> float:
        """0 where the client may ask now, which is then counted; else how long it must wait."""
        left, then_s = self._left.pop(client, (self._most, now_s))
        left = min(self._most, left + (now_s - then_s) * self._per_s)
        is_allowed = left >= 1.0
        self._left[client] = (left - is_allowed, now_s)
        if len(self._left) > MOST_CLIENTS:
            self._left.popitem(last=False)
        return 0.0 if is_allowed else (1.0 - left) / self._per_s
