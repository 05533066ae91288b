"""What the user says of quotas: hours used elsewhere, what is left, what to keep back."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta

from agnews_cli.core.hours import quota, reported
from agnews_cli.core.hours.limits import Limit
from agnews_cli.core.hours.resource import Resource
from agnews_cli.core.hours.session import QuotaReading, Used
from agnews_cli.core.text import duration
from agnews_cli.errors import BadHours, NothingToSet, StillToCome
from agnews_cli.store.hours.ledger import Ledger
from agnews_cli.store.hours.records import BY_HAND
from agnews_cli.store.settings import quota_settings
from agnews_cli.workflows.hours.quota import limits_of

_MOST_S = 366 * 86400.0
_WRONG_CLOCK = timedelta(days=1)


def note_used(platform: str, resource: Resource, hours: str, began: str | None) -> Used:
    """Keep hours that agnews did not see; without `began` they have just ended.

    Raises NoLimitsKnown, BadHours, or StillToCome for hours that nobody can have used yet.
    """
    limits_of(platform)
    seconds = _amount_s(hours, None, "HOURS", f"log {platform} {resource}")
    began_at = reported.moment(began) if began is not None else None
    now = datetime.now(UTC)
    if began_at is not None and began_at > now + _WRONG_CLOCK:
        raise StillToCome(option="began", given=began)
    fact = Used(
        id=_id(),
        platform=platform,
        resource=resource,
        began_at=began_at or now - timedelta(seconds=seconds),
        seconds=seconds,
        source=BY_HAND,
    )
    with Ledger() as ledger:
        ledger.record(fact)
    return fact


def note_left(
    platform: str,
    resource: Resource,
    left: str | None,
    returns: str | None,
    reserve: str | None,
    file: str | None,
    command: str | None,
) -> tuple[str, ...]:
    """Keep what is given; lines that say what was kept.

    Raises NoLimitsKnown, BadHours or NothingToSet.
    """
    limit, name = limits_of(platform).limit(resource), f"{platform} {resource}"
    settings, said = quota_settings.load(), []
    key = quota_settings.key(platform, resource)
    left_s = None if left is None else _amount_s(left, limit, "LEFT", f"set {platform} {resource}")
    if reserve is not None:
        kept_s = _amount_s(reserve, limit, "--reserve", f"set {platform} {resource} --reserve")
        reserves = settings.reserves_s | {key: kept_s}
        settings = settings.model_copy(
            update={"reserves_s": {name: s for name, s in reserves.items() if s > 0}}
        )
        said.append(f"{quota.hours(kept_s)} of {name} are kept back from now on.")
    for kind, value in (("file", file), ("command", command)):
        if value is not None:
            source = quota_settings.QuotaSource.model_validate({"kind": kind, "value": value})
            settings = settings.model_copy(update={"sources": settings.sources | {key: source}})
            said.append(f"What is left of {name} is read from {value!r} from now on.")
    if left_s is not None:
        reading = QuotaReading(
            id=_id(),
            platform=platform,
            resource=resource,
            at=datetime.now(UTC),
            how="reported",
            source=BY_HAND,
            left_s=left_s,
            returns_at=None if returns is None else reported.moment(returns),
        )
        with Ledger() as ledger:
            ledger.record(reading)
        said.append(f"{quota.hours(left_s)} of {name} are left.")
    if not said:
        raise NothingToSet(platform=platform, resource=resource)
    quota_settings.save(settings)
    return tuple(said)


def _amount_s(given: str, limit: Limit | None, name: str, command: str) -> float:
    """`command`: what is typed after `agnews quota`, up to the amount."""
    found = reported.amount_s(given, limit)
    if found is None or found > _MOST_S:
        raise BadHours(
            name=name,
            given=given,
            problem=reported.why_no_amount(given, limit),
            command=f"{command} {duration.meant(given, 'hm') or '11.2h'}",
        )
    return found


def _id() -> str:
    return f"told-{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(6)}"
