"""How often to save: often enough to lose little, seldom enough to cost little."""

from __future__ import annotations

import math

_MOST_SHARE = 0.05
_LONGEST_S = 2 * 3600.0
_SHORTEST_S = 10.0


def daly(cost_s: float, lifetime_s: float) -> float:
    """Work between two saves that wastes least, in seconds.

    `cost_s`: how long training stands still for one save; `lifetime_s`: mean time between random
    ends of a session. Daly 2006 (Future Generation Computer Systems 22), eq. 37.
    """
    if cost_s >= 2 * lifetime_s:
        return lifetime_s
    ratio = cost_s / (2 * lifetime_s)
    whole = math.sqrt(2 * cost_s * lifetime_s)
    return whole * (1 + math.sqrt(ratio) / 3 + ratio / 9) - cost_s


def save_interval(cost_s: float, lifetime_s: float) -> float:
    """Daly's interval, so long that saving takes at most 5% of the time, at most two hours."""
    wanted = max(daly(cost_s, lifetime_s), cost_s / _MOST_SHARE, _SHORTEST_S)
    return min(wanted, _LONGEST_S)
