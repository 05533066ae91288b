"""What a budget leaves time to read and to train on, decided before anything is read.

Functions of the budget and the kind of device alone, so that the same command means the same rows
again. The speeds are low ones for reading, so that slow machines keep their budget too, and high
ones for training, so that no row is left out that a model could have seen; benchmarks/RESULTS.md,
*Large files*, has the measured ones.
"""

from __future__ import annotations

from agnews_cli.core.machine.accelerator import Kind

_READING_SHARE = 0.3
"""Of a budget, for reading the files twice: once to find out what they are, once for the rows."""
_READ_BYTES_PER_S = 20e6
# MiniLM is trained on 90 rows a second on two cores, on 5,000 on an H100; linear models see more.
_CPU_ROWS_PER_S, _DEVICE_ROWS_PER_S = 500.0, 10_000.0
_LEAST_ROWS = 2000


def bytes_within(budget_s: float) -> int:
    """How much of a file is read, at most."""
    return int(_READING_SHARE * budget_s * _READ_BYTES_PER_S)


def rows_within(budget_s: float, device: Kind) -> int:
    """How many training rows are cleaned and trained on, at most."""
    per_s = _CPU_ROWS_PER_S if device == "cpu" else _DEVICE_ROWS_PER_S
    return max(_LEAST_ROWS, int(per_s * budget_s))
