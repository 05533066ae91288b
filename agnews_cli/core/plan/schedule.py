"""The answer: which session runs which part of which job, when."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

_ONE_SITTING_S = 600.0
"""A machine that costs nothing is not left for so short a wait."""


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

    def joined(self, free: Collection[str]) -> tuple[Booking, ...]:
        """The sessions, where one of a resource among `free`, which costs nothing to open and need
        not end, is one with the session that begins in its place soon after."""
        found: list[Booking] = []
        for session in self.sessions:
            before = next((n for n, other in enumerate(found) if _goes_on(other, session)), None)
            if session.resource not in free or before is None:
                found.append(session)
            else:
                parts = (*found[before].parts, *session.parts)
                found[before] = replace(found[before], ends_s=session.ends_s, parts=parts)
        return tuple(found)


def _goes_on(one: Booking, other: Booking) -> bool:
    is_there = (one.resource, one.place) == (other.resource, other.place)
    return is_there and other.begins_s - one.ends_s <= _ONE_SITTING_S
