"""What one dispatch may differ in from another."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

_INF = math.inf


@dataclass(frozen=True, slots=True)
class Directive:
    """What one part of a job is bound to: where, how many steps at most, from when on."""

    resource: int | None = None
    steps: int | None = None
    from_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Shut:
    """No session of `resource` is opened in [from_s, to_s)."""

    resource: int
    from_s: float
    to_s: float


@dataclass(frozen=True, slots=True)
class Rules:
    """Rules for all jobs and resources, and exceptions for some.

    `urgency`: a factor on each job's level. `places`: sessions at once, of each resource. `waits`:
    a job waits for a busy device where it would end earlier than on a free one. `saves`: a session
    is opened only for a job that would be late in those that are open (needs `target_s`). `renews`:
    an idle session may be closed for a new one, so that the next job need not be cut. `first_come`:
    a new session gets the quota that the open ones will leave, instead of an equal share.
    `patient`: resources where a session that the quota would cut short is opened as late as lets it
    run on when the quota returns. `target_s`: a deadline for all.

    `banned`: (job, resource) pairs that are not used. `directives`: by (job, number of its part); a
    target is stronger: under one a job that is late takes a card even so.
    """

    urgency: tuple[float, ...]
    places: tuple[int, ...]
    waits: bool = True
    saves: bool = False
    renews: bool = False
    first_come: bool = False
    patient: frozenset[int] = frozenset()
    target_s: float = _INF
    banned: frozenset[tuple[int, int]] = frozenset()
    directives: Mapping[tuple[int, int], Directive] = field(default_factory=dict)
    shut: tuple[Shut, ...] = ()
