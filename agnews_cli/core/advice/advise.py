"""All advice, in the order in which it is followed."""

from __future__ import annotations

from agnews_cli.core.advice import data_first, model
from agnews_cli.core.advice.seen import Advice, AdviceSeen

_TOPICS = (
    data_first.advice,
    model.preset,
    model.tier,
    model.method,
    model.rank,
    model.regularisation,
    model.distillation,
)


def advise(seen: AdviceSeen) -> tuple[Advice, ...]:
    """What to do, the first thing first."""
    return tuple(one for topic in _TOPICS for one in topic(seen))
