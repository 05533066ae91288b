"""Sessions to plan with, as a file: a lab's own offers, and what agnews assumes of all.

A file has `offers`, lists of sessions by name, and may have `devices`, their speeds before a run
has measured them. docs/planner.md shows one.
"""

import json
from datetime import date
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agnews_cli.core.hours.limits import Weekday
from agnews_cli.errors import FileMissing, OffersInvalid
from agnews_cli.store.disk.home import preset_folders
from agnews_cli.store.settings import strict_yaml
from agnews_cli.store.settings.strict_yaml import Refused

Positive = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(ge=0)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True, allow_inf_nan=False)


class QuotaOffer(_Strict):
    hours: Share
    period_days: Positive
    left_hours: Share | None = None
    returns_weekday: Weekday | None = None
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


class DeviceSpeed(_Strict):
    """How fast a kind of device is taken to be."""

    tflops: Positive
    memory_gb: Positive | None = None
    source: str
    as_of: date


class Offers(_Strict):
    """The whole file."""

    startup_minutes: Share = 0
    rest_hours: dict[str, Share] = {}
    """By platform."""
    offers: dict[str, tuple[Offer, ...]]
    devices: dict[str, DeviceSpeed] = {}


def assumed() -> Offers:
    """What agnews takes for granted where nothing better is known."""
    paths = (folder / "offers" / "assumptions.yaml" for folder in preset_folders())
    return _read(next(path for path in paths if path.is_file()))


def load(path: Path) -> Offers:
    """The user's file; what it leaves out of devices is assumed.

    Raises FileMissing, or OffersInvalid, which lists every problem with its line.
    """
    if not path.is_file():
        raise FileMissing(path=path)
    found = _read(path)
    return found.model_copy(update={"devices": {**assumed().devices, **found.devices}})


def _read(path: Path) -> Offers:
    try:
        document = strict_yaml.read(path)
    except Refused as error:
        raise OffersInvalid(path=path, problems=f"  line {error.line}: {error.reason}") from error
    except OSError as error:
        problem = f"  cannot be read: {error.strerror or error}"
        raise OffersInvalid(path=path, problems=problem) from error
    lines = [
        f"  line {line}: {'.'.join(map(str, loc))}: {reason}"
        for line, loc, reason in document.problems
    ]
    try:
        offers = Offers.model_validate_json(json.dumps(document.data))
    except ValidationError as error:
        lines += [
            f"  line {document.line(e['loc'])}: "
            f"{'.'.join(map(str, e['loc'])) or 'the file'}: {e['msg'].lower()}"
            for e in error.errors()
        ]
    if lines:
        raise OffersInvalid(path=path, problems="\n".join(lines))
    return offers
