"""Learning curves as power laws: error(n) = a·n^-b + c (Cortes et al. 1993; Hestness et al. 2017,
arXiv 1712.00409)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

_FLOORS = 60
"""Values of c that are tried."""
_LEAST_POINTS_OF_A_FLOOR = 5
"""With fewer points three numbers say nothing: c is 0."""
_STEEPEST = 2.0
_NO_SPREAD = 1e-9


@dataclass(frozen=True, slots=True)
class PowerLaw:
    """error(n) = `a` · n^-`b` + `c`: `b` in (0, 2], `c` the error that no number of rows goes
    below."""

    a: float
    b: float
    c: float

    def error(self, rows: float) -> float:
        return self.a * math.exp(-self.b * math.log(rows)) + self.c


def fitted(points: Sequence[tuple[float, float]]) -> PowerLaw | None:
    """The law nearest to (rows, error), by least squares of the errors; None where errors do not
    fall, or there are fewer than three points with any."""
    seen = [(rows, error) for rows, error in points if error > 0]
    if len(seen) < 3:
        return None
    lowest = min(error for _, error in seen)
    floors = _FLOORS if len(seen) >= _LEAST_POINTS_OF_A_FLOOR else 1
    tried = (_with_floor(seen, lowest * step / _FLOORS) for step in range(floors))
    laws = [law for law in tried if law is not None]
    if not laws:
        return None
    return min(laws, key=lambda law: sum((law.error(n) - e) ** 2 for n, e in seen))


def _with_floor(points: Sequence[tuple[float, float]], floor: float) -> PowerLaw | None:
    """By linear regression of the logarithms of what is above the floor."""
    logs = [(math.log(rows), math.log(error - floor)) for rows, error in points]
    mean_x = sum(x for x, _ in logs) / len(logs)
    mean_y = sum(y for _, y in logs) / len(logs)
    spread = sum((x - mean_x) ** 2 for x, _ in logs)
    if spread < _NO_SPREAD:
        return None
    slope = sum((x - mean_x) * (y - mean_y) for x, y in logs) / spread
    if not -_STEEPEST <= slope < 0:
        return None
    return PowerLaw(math.exp(mean_y - slope * mean_x), -slope, floor)
