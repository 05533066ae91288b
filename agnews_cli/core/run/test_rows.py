"""The test split that is made where the data have none: how many rows of each class.

A figure on the rows that chose the model is not a result, so some rows are kept from all training
and choosing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

USUAL_SHARE: Final = 0.1
MOST_ROWS: Final = 10_000
"""The 95% interval around 90% right is then 1.2 points wide; more rows would train better."""
LEAST_ROWS: Final = 100
"""Not fewer unless a share is asked for: around 90% right of 100 the 95% interval is 83 to 94%, and
of fewer rows too wide to tell a good model from a bad one, while training misses them most."""
_LEFT_ROWS = 2  # of each class: one to train on, one to validate on


def drawn(class_rows: Sequence[int], share: float | None) -> tuple[int, ...]:
    """How many rows of each class are test rows; () where there are none.

    Each class gives its share, but never the last two. `share` None: as usual, of enough rows.
    """
    total = sum(class_rows)
    wanted = min(MOST_ROWS, int(total * (USUAL_SHARE if share is None else share)))
    room = [max(0, rows - _LEFT_ROWS) for rows in class_rows]
    if wanted > 0:
        exact = [wanted * rows / total for rows in class_rows]
        taken = [min(int(part), most) for part, most in zip(exact, room, strict=True)]
        by_rest = sorted(range(len(taken)), key=lambda n: (taken[n] - exact[n], n))
        for number in by_rest:  # what rounding left over
            if sum(taken) < wanted and taken[number] < room[number]:
                taken[number] += 1
        if sum(taken) >= (LEAST_ROWS if share is None else 1):
            return tuple(taken)
    return ()
