"""The answer: which session runs which part of which job, when."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Part:
    """Steps `first_step` to `first_step + steps` of a job, on one card of one session.

    `begins_s` to `ends_s` holds loading, the steps and saving.
    """

    job: str
    card: int
    first_step: int
    steps: int
    begins_s: float
    ends_s: float


@dataclass(frozen=True, slots=True)
class Booking:
    """One session: on which resource, in which of its places, with its parts in order of time."""

    resource: str
    place: int
    begins_s: float
    ends_s: float
    parts: tuple[Part, ...]

    @property
    def seconds(self) -> float:
        return self.ends_s - self.begins_s


@dataclass(frozen=True, slots=True)
class Schedule:
    """Sessions by their beginning. `unplaced`: jobs that no session of any resource can hold."""

    sessions: tuple[Booking, ...]
    unplaced: tuple[str, ...] = ()

    @property
    def finish_s(self) -> float:
        """When the last part ends; 0 for nothing to do."""
        return max((p.ends_s for s in self.sessions for p in s.parts), default=0.0)

    def used_s(self, resource: str) -> float:
        """Session seconds on a resource: what its quota pays."""
        return sum(s.seconds for s in self.sessions if s.resource == resource)
