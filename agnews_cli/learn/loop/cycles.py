"""Cycles of a training: of equal length to within a step, a pure function of the planned steps.

At the end of each the learning rate is zero, and the weights there are a snapshot (Huang et al.
2017, arXiv 1704.00109).
"""

from __future__ import annotations


def bounds(cycles: int, step: int, total_steps: int) -> tuple[int, int]:
    """The first step of the cycle that `step` (0-based) is in, and the one after its last."""
    number = min(step * cycles // max(1, total_steps), cycles - 1)
    return _end(cycles, number, total_steps), _end(cycles, number + 1, total_steps)


def ended(cycles: int, steps_done: int, total_steps: int) -> tuple[int, ...]:
    """Which, from 1, end when so many steps are done; of fewer steps than cycles several do."""
    each = range(1, cycles + 1)
    return tuple(n for n in each if _end(cycles, n, total_steps) == steps_done > 0)


def _end(cycles: int, number: int, total_steps: int) -> int:
    return -(-total_steps * number // cycles)
