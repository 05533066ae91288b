"""What the user wants of quotas: hours kept back, and where to read what others report."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agnews_cli.core.hours.resource import Resource
from agnews_cli.errors import LimitsInvalid
from agnews_cli.store.disk import files
from agnews_cli.store.disk.home import home

_MOST_BYTES = 1_000_000


class QuotaSource(BaseModel):
    """A file to read, or a command to run, that says what is left."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True, strict=True)

    kind: Literal["file", "command"]
    value: str


class QuotaSettings(BaseModel):
    """`<home>/quota.json`. Keys are `platform/resource`."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, defer_build=True, strict=True, allow_inf_nan=False
    )

    reserves_s: dict[str, float] = Field(default={})
    sources: dict[str, QuotaSource] = Field(default={})


def key(platform: str, resource: Resource) -> str:
    return f"{platform}/{resource}"


def load() -> QuotaSettings:
    """The settings, or none where there is no file. Raises LimitsInvalid."""
    try:
        return QuotaSettings.model_validate_json(
            files.read_plain(_path(), _MOST_BYTES, follows=True)
        )
    except FileNotFoundError:
        return QuotaSettings()
    except OSError as error:
        problem = f"  cannot be read: {error.strerror or error}"
        raise LimitsInvalid(path=_path(), problems=problem) from error
    except ValidationError as error:
        lines = [
            f"  {'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors(include_url=False)
        ]
        raise LimitsInvalid(path=_path(), problems="\n".join(lines)) from error


def save(settings: QuotaSettings) -> None:
    """Raises CannotWrite or NoDiskSpace."""
    from agnews_cli.store.disk import outputs, private
    from agnews_cli.store.disk.space import refusal

    try:
        private.make_folder(_path().parent)
    except OSError as error:
        raise refusal(_path(), error, 0) from error
    outputs.write(_path(), settings.model_dump_json(indent=2) + "\n")


def _path() -> Path:
    return home() / "quota.json"
