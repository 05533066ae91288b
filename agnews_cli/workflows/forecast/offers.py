"""Where a training could run: platforms' limits and the user's own offers, as the planner's
resources, with the quota that is left of each.

What a platform allows comes from `presets/platforms`, what is left of it from `agnews quota`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from agnews_cli.core.hours.limits import Figure, Limit, PlatformLimits, Weekday, Window
from agnews_cli.core.hours.resource import Resource as Kind
from agnews_cli.core.plan.instance import Quota, Resource
from agnews_cli.core.text import duration
from agnews_cli.errors import OfferUnknown
from agnews_cli.store.settings import limits, offers
from agnews_cli.store.settings.offers import DeviceSpeed, Offer, Offers, QuotaOffer

if TYPE_CHECKING:
    from agnews_cli.core.hours.quota import Budget

_KINDS: tuple[Kind, ...] = ("gpu", "cpu")  # nobody measured a training's cost on a TPU yet
_ONCE_DAYS = 36_500.0
_MONTH_DAYS = 30.0
_HERE = "here"


@dataclass(frozen=True, slots=True)
class Counted:
    """The platform's own resource that an offer draws on."""

    platform: PlatformLimits
    kind: Kind
    window: Window

    @property
    def key(self) -> tuple[str, str, Kind]:
        return self.platform.platform, self.platform.tier, self.kind


@dataclass(slots=True)
class Market:
    """Every offer by name: the user's file, and every platform whose limits are known.

    `left_s`: quota by an offer's name, as the user says; `reserve_s`: to be left alone.
    """

    own: Offers
    now: datetime
    left_s: Mapping[str, float]
    reserve_s: float
    has_own_file: bool
    _budgets: dict[tuple[str, str, Kind], Budget | None] = field(default_factory=dict)

    @classmethod
    def of(
        cls, file: Path | None, now: datetime, *, left_s: Mapping[str, float], reserve_s: float
    ) -> Market:
        """Raises FileMissing or OffersInvalid."""
        own = offers.load(file) if file else offers.assumed()
        return cls(own, now, left_s, reserve_s, file is not None)

    @property
    def devices(self) -> Mapping[str, DeviceSpeed]:
        return self.own.devices

    def resources(self, names: Sequence[str]) -> dict[Resource, str]:
        """What the planner may use of these, and what is known of each. Raises OfferUnknown."""
        found: dict[Resource, str] = {}
        for name, offer, counted in self._offers(names):
            quota, how = self._quota_left(offer, counted)
            resource = _resource(name, offer, quota)
            found[resource] = _reason(offer, resource, how)
        return found

    def unlimited(self, names: Sequence[str]) -> tuple[Resource, ...]:
        """The same without quotas, for which nobody is asked: what is no faster there is no
        faster. Raises OfferUnknown."""
        return tuple(_resource(name, offer, None) for name, offer, _ in self._offers(names))

    def _offers(self, names: Sequence[str]) -> Iterator[tuple[str, Offer, Counted | None]]:
        for name in dict.fromkeys((*names, _HERE)):
            if name != _HERE or name in self.own.offers:
                yield from ((name, offer, counted) for offer, counted in self._group(name))

    def _group(self, name: str) -> list[tuple[Offer, Counted | None]]:
        if name in self.own.offers:
            return [(offer, None) for offer in self.own.offers[name]]
        platform = _platform(name)
        if platform is None:
            from agnews_cli.core.text.spelling import nearest

            raise OfferUnknown(name=name, near=nearest(name, self._names()))
        made: list[tuple[Offer, Counted | None]] = []
        for kind in _KINDS:
            limit = platform.limit(kind)
            if limit is not None:
                title = name if not made else f"{name}-{kind}"
                made.append(self._offered(title, platform, kind, limit))
        return made

    def _names(self) -> tuple[str, ...]:
        tiers = []
        for name in limits.names():
            found = limits.load(name)
            known = found.tiers if found else {}
            tiers += [f"{name}-{tier.replace('_', '-')}" for tier in ("free", *known) if known]
        return (*self.own.offers, *limits.names(), *tiers)

    def _offered(
        self, title: str, platform: PlatformLimits, kind: Kind, limit: Limit
    ) -> tuple[Offer, Counted | None]:
        at_once = limit.concurrent_batch or limit.concurrent_interactive
        used = [f for f in (limit.session_hours, limit.quota_hours, at_once) if f is not None]
        device = "cpu" if kind == "cpu" else limit.accelerator.removesuffix(f" x{limit.count}")
        known = self.devices.get(device)
        rest_hours = self.own.rest_hours.get(platform.platform, 0.0) if kind == "gpu" else 0.0
        offer = Offer(
            name=title,
            kind=device,
            cards=limit.count,
            memory_gb=known.memory_gb if known else None,
            session_hours=limit.session_hours.value if limit.session_hours else None,
            sessions_at_once=round(at_once.value) if at_once else 1,
            startup_minutes=self.own.startup_minutes,
            rest_hours=rest_hours,
            quota=_quota(limit),
            source=", ".join(dict.fromkeys(f.source for f in used)) or "no figure is published",
            as_of=_oldest(used, self.now),
            assumed=("startup_minutes", *(["rest_hours"] if rest_hours else [])),
        )
        if limit.window is None:
            return offer, None
        return offer, Counted(platform, kind, limit.window)

    def _quota_left(self, offer: Offer, counted: Counted | None) -> tuple[Quota | None, str]:
        """With how it is known what is left."""
        if offer.quota is None:
            return None, ""
        from agnews_cli.core.hours.quota import period_at

        every_s = offer.quota.hours * 3600
        told, reserve_s = self.left_s.get(offer.name), self.reserve_s
        left_s = every_s if offer.quota.left_hours is None else offer.quota.left_hours * 3600
        returns_s = _returns_s(offer.quota, self.now)
        how = "taken as unused: --left says otherwise"
        if counted is not None and counted.window.kind in ("week", "month"):
            returns_s = (period_at(counted.window, self.now).end - self.now).total_seconds()
        if told is not None:
            left_s, how = told, "as given"
        elif counted is not None and (budget := self._budget(counted)) is not None:
            # What is kept back by the user is kept back in every period.
            reserve_s = max(reserve_s, budget.reserve_s)
            left_s = (budget.left_s or 0.0) + budget.reserve_s
            how = f"{budget.how}: {budget.source}"
            if budget.returns_at is not None:
                returns_s = (budget.returns_at - self.now).total_seconds()
        return Quota(left_s, returns_s, every_s, offer.quota.period_days * 86400, reserve_s), how

    def _budget(self, counted: Counted) -> Budget | None:
        """What `agnews quota` knows to be left; None where it does not. Asked once."""
        if counted.key not in self._budgets:
            from agnews_cli.workflows.hours import quota

            found = quota.budget_of(counted.platform, counted.kind)
            self._budgets[counted.key] = found if found.left_s is not None else None
        return self._budgets[counted.key]


def _platform(name: str) -> PlatformLimits | None:
    """`kaggle` as the user has it; `colab-pro-plus` is a tier of Colab."""
    known = limits.names()
    if name in known:
        return limits.load(name)
    for platform in known:
        if name.startswith(f"{platform}-") and (found := limits.load(platform)) is not None:
            tier = name.removeprefix(f"{platform}-").replace("-", "_")
            if tier == "free" or tier in found.tiers:
                return found.model_copy(update={"tier": tier})
    return None


def _quota(limit: Limit) -> QuotaOffer | None:
    if limit.quota_hours is None or limit.window is None:
        return None
    window: Window = limit.window
    days = {"week": 7.0, "month": _MONTH_DAYS, "once": _ONCE_DAYS}
    return QuotaOffer(
        hours=limit.quota_hours.value,
        period_days=days.get(window.kind) or (window.hours or 24.0) / 24,
        returns_weekday=window.weekday,
        returns_at=window.time or "00:00",
    )


def _resource(platform: str, offer: Offer, quota: Quota | None) -> Resource:
    return Resource(
        name=offer.name,
        platform=platform,
        kind=offer.kind,
        cards=offer.cards,
        memory_bytes=None if offer.memory_gb is None else round(offer.memory_gb * 1e9),
        session_s=float("inf") if offer.session_hours is None else offer.session_hours * 3600,
        startup_s=offer.startup_minutes * 60,
        sessions_at_once=offer.sessions_at_once,
        rest_s=offer.rest_hours * 3600,
        quota=quota,
    )


def _returns_s(quota: QuotaOffer, now: datetime) -> float:
    if quota.returns_weekday is None:
        return quota.period_days * 86400
    hour, minute = map(int, quota.returns_at.split(":"))
    at = now.replace(hour=hour, minute=minute, second=0, microsecond=0)
    days = get_args(Weekday).index(quota.returns_weekday) - at.weekday()
    at += timedelta(days=days % 7)
    return (at if at > now else at + timedelta(days=7)).timestamp() - now.timestamp()


def _oldest(figures: Sequence[Figure], now: datetime) -> date:
    return min((date.fromisoformat(f.as_of) for f in figures), default=now.date())


def _reason(offer: Offer, resource: Resource, how: str) -> str:
    parts = []
    if offer.session_hours is not None:
        parts.append(f"sessions of {offer.session_hours:g} h at most")
    if offer.cards > 1:
        parts.append(f"{offer.cards} cards for one hour of quota")
    if resource.quota is not None:
        parts.append(f"{resource.quota.left_s / 3600:.1f} h of quota left ({how})")
        if resource.quota.reserve_s:
            parts.append(f"{duration.show(resource.quota.reserve_s)} of it kept in reserve")
    assumed = f"; assumed: {', '.join(offer.assumed)}" if offer.assumed else ""
    return (
        f"{offer.name}: {', '.join(parts) or 'no limit'} ({offer.source}, {offer.as_of}{assumed})"
    )
