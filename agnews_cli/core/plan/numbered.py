"""An instance with numbers for names, and what every dispatch asks again and again."""

from __future__ import annotations

import math

from agnews_cli.core.plan.instance import Instance, Task

_EPS = 1e-6
_INF = math.inf


class Numbered:
    """Jobs and resources by number; `home`: where each job can run, the fastest first."""

    def __init__(self, instance: Instance) -> None:
        self.jobs = instance.jobs
        self.resources = instance.resources
        self.number = {job.name: i for i, job in enumerate(self.jobs)}
        self.before = [tuple(self.number[name] for name in job.after) for job in self.jobs]
        self.after: list[list[int]] = [[] for _ in self.jobs]
        for i, before in enumerate(self.before):
            for j in before:
                self.after[j].append(i)
        self.step_s = [
            [_INF if (s := r.step_s(job)) is None else s for r in self.resources]
            for job in self.jobs
        ]
        self.home = [
            tuple(
                sorted(
                    (r for r in range(len(self.resources)) if self._fits(job, i, r)),
                    key=lambda r: (self.step_s[i][r], self.resources[r].startup_s),
                )
            )
            for i, job in enumerate(self.jobs)
        ]
        self.soon_s = [
            max(
                (self.resources[r].startup_s + self.resources[r].rest_s for r in homes), default=0.0
            )
            for homes in self.home
        ]
        """How long before a job is ready a session could have to be opened for it."""
        self.order = self._topological()
        self.shortest_s = [self._shortest_s(job, i) for i, job in enumerate(self.jobs)]
        self.tail_s = self._tails()
        """From a job's end to the end of the last that waits for it, at best."""

    def _fits(self, job: Task, i: int, r: int) -> bool:
        resource, step_s = self.resources[r], self.step_s[i][r]
        if step_s == _INF:
            return False
        steps = 1 if job.is_divisible else job.steps
        needed_s = resource.startup_s + job.overhead_s + steps * step_s
        return needed_s <= resource.longest_session_s + _EPS

    def _shortest_s(self, job: Task, i: int) -> float:
        return min(
            (job.steps * self.step_s[i][r] + job.overhead_s for r in self.home[i]), default=0.0
        )

    def _topological(self) -> list[int]:
        left = [len(before) for before in self.before]
        order = [i for i, count in enumerate(left) if not count]
        for i in order:
            for j in self.after[i]:
                left[j] -= 1
                if not left[j]:
                    order.append(j)
        return order

    def _tails(self) -> list[float]:
        tail_s = [0.0] * len(self.jobs)
        for i in reversed(self.order):
            tail_s[i] = max((self.shortest_s[j] + tail_s[j] for j in self.after[i]), default=0.0)
        return tail_s

    def unplaceable(self) -> set[int]:
        """Jobs that fit no session, and those that wait for one."""
        gone: set[int] = set()
        for i in self.order:
            if not self.home[i] or any(j in gone for j in self.before[i]):
                gone.add(i)
        return gone
