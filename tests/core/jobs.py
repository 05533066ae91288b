"""Instances for the planner: one model, an ensemble, k-fold stacking, distillation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from agnews_cli.core.plan.instance import Task

COMBINE_S = 60.0
"""Averaging or stacking probability files takes seconds; a minute is put down."""


@dataclass(frozen=True, slots=True)
class Cost:
    """One training: steps, seconds a step by kind of device, memory, and what a part costs more."""

    steps: int
    step_s: Mapping[str, float]
    memory_bytes: int = 0
    load_s: float = 60.0
    save_s: float = 30.0

    def job(self, name: str, after: tuple[str, ...] = ()) -> Task:
        return Task(
            name,
            self.steps,
            self.step_s,
            after,
            memory_bytes=self.memory_bytes,
            load_s=self.load_s,
            save_s=self.save_s,
        )

    def predicting(self, share: float = 1 / 3) -> Cost:
        """Predictions over the rows of one epoch's steps: a forward pass is a third of a step."""
        return replace(self, step_s={kind: s * share for kind, s in self.step_s.items()})


def single(training: Cost) -> tuple[Task, ...]:
    return (training.job("train"),)


def ensemble(training: Cost, members: int) -> tuple[Task, ...]:
    """Members with other seeds, then their average, on a CPU."""
    made = tuple(training.job(f"member {k}") for k in range(members))
    return (*made, _combine("combine", tuple(job.name for job in made)))


def stacking(training: Cost, folds: int) -> tuple[Task, ...]:
    """One model for each fold, trained on the others; a meta-model over their predictions."""
    part = replace(training, steps=max(1, round(training.steps * (folds - 1) / folds)))
    made = tuple(part.job(f"fold {k}") for k in range(folds))
    whole = training.job("all rows")
    return (*made, whole, _combine("stack", (*(job.name for job in made), whole.name)))


def distillation(teacher: Cost, student: Cost, *, epochs: float) -> tuple[Task, ...]:
    """A teacher learns, predicts the training rows, and a student learns from both."""
    once = replace(teacher.predicting(), steps=max(1, round(teacher.steps / epochs)))
    return (
        teacher.job("teacher"),
        once.job("teacher's predictions", ("teacher",)),
        student.job("student", ("teacher's predictions",)),
    )


def _combine(name: str, after: tuple[str, ...]) -> Task:
    return Task(name, 1, {"cpu": COMBINE_S}, after, is_divisible=False)


def remaining(jobs: tuple[Task, ...], done: Mapping[str, int]) -> tuple[Task, ...]:
    """The graph after `done` steps of each job: finished jobs are gone, begun ones are shorter."""
    kept = {job.name for job in jobs if done.get(job.name, 0) < job.steps}
    return tuple(
        replace(
            job,
            steps=job.steps - done.get(job.name, 0),
            after=tuple(name for name in job.after if name in kept),
        )
        for job in jobs
        if job.name in kept
    )
