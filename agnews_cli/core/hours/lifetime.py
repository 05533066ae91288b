"""How long sessions live before they die at random, learned from those that were watched.

A session that ended as planned, or still runs, is censored: it counts as time lived and as no
death. Each was watched from the age its machine had when it began, so a machine that was old then
says nothing of its youth (late entry).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from agnews_cli.core.hours.session import Session

PRIOR_S = 4 * 3600.0
"""What is believed before anything was seen, with the weight of one death."""
_LEAST_DEATHS = 50
_BIN_S = 3600.0


@dataclass(frozen=True, slots=True)
class Life:
    """A machine's session, watched from one age to another. `is_death`: it ended at random."""

    entered_s: float
    left_s: float
    is_death: bool

    @property
    def watched_s(self) -> float:
        return max(0.0, self.left_s - self.entered_s)


def lives(sessions: Iterable[Session], platform: str, now: datetime) -> tuple[Life, ...]:
    """The platform's sessions. One that fell silent has died; one that was stopped has not."""
    return tuple(
        Life(
            s.entered_s,
            s.entered_s + s.seconds,
            s.state == "died" or (s.state == "open" and s.is_over(now)),
        )
        for s in sessions
        if s.platform == platform
    )


def mean_s(watched: Sequence[Life], *, age_s: float | None = None) -> float:
    """Mean time between random ends, in seconds: time lived over deaths, with the prior added.

    Deaths are more frequent in some hours of a session than in others (Kadupitiya et al. 2020). So
    with `age_s`, and 50 deaths seen, only the hour that begins there is asked.
    """
    deaths = sum(life.is_death for life in watched)
    lived_s = sum(life.watched_s for life in watched)
    if age_s is not None and deaths >= _LEAST_DEATHS:
        overall_s = (lived_s + PRIOR_S) / (deaths + 1)
        until_s = age_s + _BIN_S
        here_s = sum(
            max(0.0, min(life.left_s, until_s) - max(life.entered_s, age_s)) for life in watched
        )
        here = sum(life.is_death and age_s < life.left_s <= until_s for life in watched)
        return (here_s + overall_s) / (here + 1)  # the mean of all is this hour's prior
    return (lived_s + PRIOR_S) / (deaths + 1)
