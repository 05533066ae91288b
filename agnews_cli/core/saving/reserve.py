"""How much of a session to keep for what must be done before its end."""

from __future__ import annotations

from collections.abc import Sequence

_MANY = 20
_OF_FEW = 1.5


def reserve_s(durations_s: Sequence[float], *, guess_s: float, guard_s: float) -> float:
    """Seconds to keep for doing once more what took `durations_s`, and a guard.

    The 95th percentile of what it took; of fewer than twenty the longest, one and a half times;
    of none `guess_s`.
    """
    if not durations_s:
        return guess_s + guard_s
    ordered = sorted(durations_s)
    if len(ordered) < _MANY:
        return _OF_FEW * ordered[-1] + guard_s
    return ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))] + guard_s
