"""What a platform allows, as data: hours a session, hours a week, how many at once.

The figures are in `presets/platforms/*.yaml`, each with its source, the day it was true and how
sure it is. None of them is in the code.
"""

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from agnews_cli.core.hours.resource import Resource

Confidence = Literal["high", "medium", "low", "memory"]
Weekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
Tier = dict[Resource, "Limit"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True, strict=True)


class _Sourced(_Strict):
    source: str = Field(min_length=1)
    as_of: str = Field(pattern=r"^\d{4}-\d{2}-\d{2}$")
    confidence: Confidence
    note: str = ""


class Figure(_Sourced):
    """A number that somebody stated. `alternative`: what another source says."""

    value: float = Field(gt=0)
    alternative: float | None = Field(default=None, gt=0)


class Window(_Sourced):
    """When a quota returns.

    `week`: at `weekday` and `time`, in UTC; `month`: on its first day; `rolling`: each hour comes
    back `hours` later; `once`: never.
    """

    kind: Literal["week", "month", "rolling", "once"]
    weekday: Weekday | None = None
    time: str | None = Field(default=None, pattern=r"^([01]\d|2[0-3]):[0-5]\d$")
    hours: float | None = Field(default=None, gt=0)

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        if self.kind == "week" and (self.weekday is None or self.time is None):
            raise ValueError("a week needs weekday and time")
        if self.kind == "rolling" and self.hours is None:
            raise ValueError("a rolling window needs hours")
        return self


class Limit(_Strict):
    """What may be used of one resource; None is what nobody published."""

    accelerator: str
    count: int = Field(default=1, gt=0)
    session_hours: Figure | None = None
    """The longest session; "up to" where its note says so."""
    idle_minutes: Figure | None = None
    quota_hours: Figure | None = None
    window: Window | None = None
    concurrent_batch: Figure | None = None
    concurrent_interactive: Figure | None = None
    units_per_hour: Figure | None = None
    """What an hour costs, where hours are bought with units."""

    @model_validator(mode="after")
    def _has_window(self) -> Self:
        if self.quota_hours is not None and self.window is None:
            raise ValueError("quota_hours needs a window: when does it return?")
        return self


class PlatformLimits(_Strict):
    """One file of `presets/platforms`."""

    platform: str
    title: str
    is_common: bool = False
    """Shown by `agnews quota` before it was ever used."""
    official: Literal["kaggle"] | None = None
    """Whose interface states the quota."""
    tier: str = "free"
    """Which of `tiers` the user has; no platform tells."""
    resources: Tier
    tiers: dict[str, Tier] = {}
    """What differs where the user pays."""

    @model_validator(mode="after")
    def _has_tier(self) -> Self:
        if self.tier != "free" and self.tier not in self.tiers:
            known = ", ".join(["free", *self.tiers])
            raise ValueError(f"there is no tier {self.tier!r}; it has {known}")
        return self

    def limit(self, resource: Resource) -> Limit | None:
        """Of the user's tier; None where the platform has no such resource."""
        return self.tiers.get(self.tier, {}).get(resource) or self.resources.get(resource)

    @property
    def offered(self) -> Tier:
        """Every resource, as the user's tier has it."""
        return self.resources | self.tiers.get(self.tier, {})
