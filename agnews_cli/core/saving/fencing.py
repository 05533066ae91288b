"""Fencing numbers: one a session, each one higher than all before it, six digits in every name.

A number in a name is believed where sessions can have counted up to it. A single object called
999999 would otherwise be the newest for ever: no session could have a higher number, and no
checkpoint written after it would count.
"""

from __future__ import annotations

from collections.abc import Iterable

MOST = 999_999
_MOST_STEP = 10_000
"""More sessions than any run has; numbers in between are gone where old objects are removed."""


def newest(numbers: Iterable[int], above: int = 0, *, step: int = _MOST_STEP) -> int:
    """The highest of `numbers`, and at least `above`, that can have been counted up to.

    `step`: how far two numbers that follow one another may be apart.
    """
    highest = above
    for number in sorted(numbers):
        if number - highest > step:
            break
        highest = max(highest, number)
    return highest


def why_not(number: int) -> str:
    """Why an object is passed over whose number is above the newest one."""
    return f"no session has counted up to {number}"
