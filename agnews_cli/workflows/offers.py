"""Sessions that platforms offer, read from `presets/offers/offers.yaml` or the user's own file."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

import agnews_cli
from agnews_cli.core.plan.instance import Quota, Resource
from agnews_cli.errors import FileMissing, OffersInvalid, OfferUnknown
from agnews_cli.store.presets import nearest

_CAP_BYTES = 64 * 1024
Positive = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(ge=0)]
_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class QuotaOffer(_Strict):
    hours: Share
    period_days: Positive
    left_hours: Share | None = None
    returns_weekday: Literal[
        "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday", None
    ] = None
    returns_at: Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")] = "00:00"
    """UTC."""


class Offer(_Strict):
    name: str
    kind: str
    cards: Annotated[int, Field(gt=0)] = 1
    memory_gb: Positive | None = None
    session_hours: Positive | None = None
    sessions_at_once: Annotated[int, Field(gt=0)] = 1
    startup_minutes: Share = 0
    rest_hours: Share = 0
    quota: QuotaOffer | None = None
    source: str
    as_of: date
    assumed: tuple[str, ...] = ()

    def resource(
        self, platform: str, now: datetime, *, left_s: float | None, reserve_s: float
    ) -> Resource:
        """As the planner takes it, `left_s` of its quota being left now."""
        quota = None
        if self.quota is not None:
            every_s = self.quota.hours * 3600
            given = self.quota.left_hours
            known_s = every_s if given is None else given * 3600
            quota = Quota(
                left_s=known_s if left_s is None else left_s,
                returns_s=self._returns_s(self.quota, now),
                period_quota_s=every_s,
                period_s=self.quota.period_days * 86400,
                reserve_s=reserve_s,
            )
        return Resource(
            name=self.name,
            platform=platform,
            kind=self.kind,
            cards=self.cards,
            memory_bytes=None if self.memory_gb is None else round(self.memory_gb * 1e9),
            session_s=float("inf") if self.session_hours is None else self.session_hours * 3600,
            startup_s=self.startup_minutes * 60,
            sessions_at_once=self.sessions_at_once,
            rest_s=self.rest_hours * 3600,
            quota=quota,
        )

    @staticmethod
    def _returns_s(quota: QuotaOffer, now: datetime) -> float:
        if quota.returns_weekday is None:
            return quota.period_days * 86400
        hour, minute = map(int, quota.returns_at.split(":"))
        at = now.replace(hour=hour, minute=minute, second=0, microsecond=0)
        at += timedelta(days=(_WEEKDAYS.index(quota.returns_weekday) - at.weekday()) % 7)
        if at <= now:
            at += timedelta(days=7)
        return (at - now).total_seconds()


class Device(_Strict):
    tflops: Positive
    source: str
    as_of: date


class Offers(_Strict):
    """The whole file."""

    offers: dict[str, tuple[Offer, ...]]
    devices: dict[str, Device] = {}

    def group(self, name: str) -> tuple[Offer, ...]:
        """The offers of a platform. Raises OfferUnknown."""
        if name not in self.offers:
            raise OfferUnknown(name=name, near=nearest(name, tuple(self.offers)))
        return self.offers[name]


def load(path: Path | None) -> Offers:
    """The user's file, or agnews's own. Raises FileMissing or OffersInvalid."""
    found = path or _own()
    if not found.is_file():
        raise FileMissing(path=found)
    try:
        raw = found.read_bytes()
        if len(raw) > _CAP_BYTES:
            raise OffersInvalid(path=found, problems="  larger than 64 KB")
        text = raw.decode("utf-8")
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, Loader=_Loader)):
            raise yaml.YAMLError("aliases are not allowed")
        data: Any = yaml.load(text, Loader=_Loader)
        offers = Offers.model_validate(data)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise OffersInvalid(path=found, problems="  " + " ".join(str(error).split())) from error
    except ValidationError as error:
        problems = "\n".join(
            f"  {'.'.join(map(str, e['loc'])) or 'the file'}: {e['msg'].lower()}"
            for e in error.errors()
        )
        raise OffersInvalid(path=found, problems=problems) from error
    if path is not None:  # what the user leaves out of devices is known here
        own = load(None)
        offers = offers.model_copy(update={"devices": {**own.devices, **offers.devices}})
    return offers


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Refuses repeated keys, which make a file mean something else than it says."""

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        keys = [key.value for key, _ in node.value]
        twice = sorted({key for key in keys if keys.count(key) > 1})
        if twice:
            raise yaml.YAMLError(f"line {node.start_mark.line + 1}: {twice[0]!r} is there twice")
        return super().construct_mapping(node, deep)


def _own() -> Path:
    package = Path(agnews_cli.__file__).parent
    inside = package / "presets" / "offers" / "offers.yaml"
    return inside if inside.is_file() else package.parent / "presets" / "offers" / "offers.yaml"
