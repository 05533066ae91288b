"""When this session must end: as the user says, or when the platform's limit for it is reached."""

from __future__ import annotations

from agnews_cli.core.hours.resource import RESOURCES
from agnews_cli.core.machine.platform import Platform
from agnews_cli.core.text import duration
from agnews_cli.host.session_age import session_age
from agnews_cli.store.settings import limits

_LEAST_MARGIN_S, _MARGIN = 300.0, 0.02
"""Kept before a limit: a session's age is an estimate, and the larger of these is its error."""


def session_left_s(platform: Platform, asked_s: float | None) -> tuple[float | None, str | None]:
    """(seconds that this session may still last, None for no end; the reason where we decided).

    The shorter of what was asked for and what the platform leaves. Raises LimitsInvalid.
    """
    known = limits.load(platform.name)
    limit = known and known.limit(RESOURCES[platform.accelerator.kind])
    age = session_age() if limit else None
    if not known or not limit or limit.session_hours is None or age is None:
        return asked_s, None
    cap_s = limit.session_hours.value * 3600
    left_s = max(0.0, cap_s - age.seconds - max(_LEAST_MARGIN_S, _MARGIN * cap_s))
    if asked_s is not None and asked_s <= left_s:
        return asked_s, None
    reason = (
        f"session: {known.title} ends one after {limit.session_hours.value:g} h; this one is "
        f"{duration.show(age.seconds)} old by {age.source}, so it is paused in "
        f"{duration.show(left_s)}"
    )
    return left_s, reason
