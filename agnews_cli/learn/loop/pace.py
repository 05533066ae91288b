"""How fast training goes and how it fares, without making a device wait."""

from __future__ import annotations

import time

import torch
from accelerate import Accelerator

from agnews_cli.learn.door.xla import zero_on

_REPORT_EVERY_S = 1.0


class Clock:
    """Seconds a step takes, without validations: a mean that follows the recent steps."""

    def __init__(self) -> None:
        self._last_s = self._reported_s = time.monotonic()
        self.seconds_per_step = 1.0
        self._steps = 0

    def step(self) -> None:
        now_s = time.monotonic()
        took_s, self._last_s = now_s - self._last_s, now_s
        self._steps += 1
        if self._steps <= 3:
            self.seconds_per_step = took_s
            return
        weight = max(0.02, 1 / (self._steps - 3))
        self.seconds_per_step += weight * (took_s - self.seconds_per_step)

    def is_report_due(self) -> bool:
        now_s = time.monotonic()
        if now_s - self._reported_s < _REPORT_EVERY_S:
            return False
        self._reported_s = now_s
        return True

    def exclude(self, seconds: float) -> None:
        """Leave out a pause that just ended."""
        self._last_s += seconds


class Running:
    """Mean loss since the last report; kept on the device, so that no step waits for it."""

    def __init__(self) -> None:
        self._sum: torch.Tensor | None = None
        self._steps = 0

    def add(self, loss: torch.Tensor) -> None:
        self._sum = (zero_on(loss.device) if self._sum is None else self._sum) + loss
        self._steps += 1

    @property
    def is_pending(self) -> bool:
        return self._steps > 0

    def mean_over(self, accelerator: Accelerator) -> float:
        if self._sum is None:
            return 0.0
        # Each process reports when its own clock says so: no collective call is allowed here.
        mean = float(self._sum) / self._steps * accelerator.num_processes
        self._sum, self._steps = None, 0
        return mean


class Norms:
    """Gradient norms since the last validation, on the device like `Running`."""

    def __init__(self) -> None:
        self._sum: torch.Tensor | None = None
        self._most: torch.Tensor | None = None
        self._steps = 0

    def add(self, norm: torch.Tensor | None) -> None:
        if norm is None:
            return
        norm = norm.detach().float()
        self._sum = (zero_on(norm.device) if self._sum is None else self._sum) + norm
        self._most = torch.maximum(zero_on(norm.device) if self._most is None else self._most, norm)
        self._steps += 1

    def taken(self) -> tuple[float | None, float | None]:
        """(mean, largest), and begin anew; None where none was added."""
        if self._sum is None or self._most is None:
            return None, None
        found = float(self._sum) / self._steps, float(self._most)
        self._sum, self._most, self._steps = None, None, 0
        return found
