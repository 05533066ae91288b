"""Wilson's score interval of a share (1927)."""

from __future__ import annotations

import math
from typing import Final

Z_95: Final = 1.959963984540054
"""Of a normal distribution: 95% lie within so many standard deviations."""


def wilson(share: float, rows: float, z: float = Z_95) -> tuple[float, float]:
    """(low, high) of a share of so many rows, which lies within; `z`: the quantile."""
    scale = 1 + z * z / rows
    centre = (share + z * z / (2 * rows)) / scale
    half = z / scale * math.sqrt(share * (1 - share) / rows + z * z / (4 * rows * rows))
    return max(0.0, min(share, centre - half)), min(1.0, max(share, centre + half))
