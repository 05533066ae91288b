"""What is to be planned: jobs, where they could run, and what holds there.

The types stand alone: whoever knows quotas and measured speeds builds them. All times are seconds
from now, all durations seconds.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

WEEK_S = 7 * 24 * 3600.0


@dataclass(frozen=True, slots=True)
class Task:
    """Work that is cut at step boundaries only.

    `step_s`: seconds a step takes on each kind of device; a kind that is missing cannot run it, so
    a job for CPUs names `cpu` alone and never holds a GPU session. Each part of a job begins with
    `load_s` (weights, data, the checkpoint) and ends with `save_s` (saved and uploaded).
    """

    name: str
    steps: int
    step_s: Mapping[str, float]
    after: tuple[str, ...] = ()
    is_divisible: bool = True
    memory_bytes: int = 0
    load_s: float = 0.0
    save_s: float = 0.0
    run: str = ""
    """What it does, by its id."""

    @property
    def overhead_s(self) -> float:
        return self.load_s + self.save_s


@dataclass(frozen=True, slots=True)
class Quota:
    """Session seconds that may be used: `left_s` until `returns_s`, then `period_quota_s` for each
    period. `reserve_s` of each period is left alone. A second is counted when it passes.
    """

    left_s: float
    returns_s: float
    period_quota_s: float
    period_s: float = WEEK_S
    reserve_s: float = 0.0

    def periods(self) -> Iterator[tuple[float, float, float]]:
        """(begins, ends, may be used) of each period from now on, for ever."""
        yield 0.0, self.returns_s, max(0.0, self.left_s - self.reserve_s)
        begins_s = self.returns_s
        while True:
            yield (
                begins_s,
                begins_s + self.period_s,
                max(0.0, self.period_quota_s - self.reserve_s),
            )
            begins_s += self.period_s


@dataclass(frozen=True, slots=True)
class Resource:
    """One kind of session on one platform.

    A session lasts at most `session_s`, spends its first `startup_s` on itself, and holds `cards`
    devices side by side for one session's quota. `sessions_at_once` may be open together; between
    one's end and the next's beginning in its place lie at least `rest_s`.
    """

    name: str
    platform: str
    kind: str
    cards: int = 1
    memory_bytes: int | None = None
    session_s: float = math.inf
    startup_s: float = 0.0
    sessions_at_once: int = 1
    from_s: float = 0.0
    rest_s: float = 0.0
    quota: Quota | None = None

    def step_s(self, job: Task) -> float | None:
        """Seconds a step of `job` takes here; None when it cannot run here."""
        if self.memory_bytes is not None and job.memory_bytes > self.memory_bytes:
            return None
        return job.step_s.get(self.kind)

    @property
    def longest_session_s(self) -> float:
        """What a session can last at most, drawing on one period's quota."""
        if self.quota is None:
            return self.session_s
        most_s = max(self.quota.left_s, self.quota.period_quota_s) - self.quota.reserve_s
        return min(self.session_s, max(0.0, most_s))

    @property
    def is_free(self) -> bool:
        """Whether its sessions cost nothing to open, and none need ever end."""
        is_open = math.isinf(self.session_s) and self.quota is None
        return is_open and self.startup_s == 0.0 and self.rest_s == 0.0


@dataclass(frozen=True, slots=True)
class Instance:
    jobs: tuple[Task, ...]
    resources: tuple[Resource, ...]


class BadInstance(ValueError):
    """Jobs or resources that contradict themselves; `problems` names each."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


def problems(instance: Instance) -> tuple[str, ...]:
    """What is wrong with it, in words; empty when it can be planned."""
    found: list[str] = []
    names = [job.name for job in instance.jobs]
    found += [
        f"two jobs are named {name!r}" for name in sorted(set(names)) if names.count(name) > 1
    ]
    for job in instance.jobs:
        found += [
            f"{job.name} waits for {other!r}, which is no job"
            for other in job.after
            if other not in names
        ]
        figures = (*job.step_s.values(), job.load_s, job.save_s, float(job.steps))
        if job.steps < 1 or not all(math.isfinite(x) and x >= 0 for x in figures):
            found.append(f"{job.name}: steps and seconds must be positive numbers")
    for resource in instance.resources:
        if resource.cards < 1 or resource.sessions_at_once < 1 or resource.session_s <= 0:
            found.append(f"{resource.name}: cards, sessions and hours must be positive")
    return tuple(found) or _cycle(instance)


def _cycle(instance: Instance) -> tuple[str, ...]:
    waiting = {job.name: set(job.after) for job in instance.jobs}
    while waiting:
        free = [name for name, after in waiting.items() if not after & waiting.keys()]
        if not free:
            return (f"these jobs wait for each other: {', '.join(sorted(waiting))}",)
        for name in free:
            del waiting[name]
    return ()
