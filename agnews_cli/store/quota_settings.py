"""What the user wants of quotas: hours kept back, and where to read what others report."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agnews_cli.core.session import Resource
from agnews_cli.errors import LimitsInvalid
from agnews_cli.store.home import home


class Source(BaseModel):
    """A file to read, or a command to run, that says what is left."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    kind: Literal["file", "command"]
    value: str


class QuotaSettings(BaseModel):
    """`<home>/quota.json`. Keys are `platform/resource`."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    reserves_s: dict[str, float] = Field(default={})
    sources: dict[str, Source] = Field(default={})


def key(platform: str, resource: Resource) -> str:
    return f"{platform}/{resource}"


def load() -> QuotaSettings:
    """The settings, or none where there is no file. Raises LimitsInvalid."""
    try:
        return QuotaSettings.model_validate_json(_path().read_text("utf-8"))
    except FileNotFoundError:
        return QuotaSettings()
    except (OSError, UnicodeDecodeError) as error:
        raise LimitsInvalid(path=_path(), problems=f"  cannot be read: {error}") from error
    except ValidationError as error:
        lines = [
            f"  {'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors(include_url=False)
        ]
        raise LimitsInvalid(path=_path(), problems="\n".join(lines)) from error


def save(settings: QuotaSettings) -> None:
    """Raises CannotWrite or NoDiskSpace."""
    from agnews_cli.store.runs import write_text_atomically

    _path().parent.mkdir(parents=True, exist_ok=True)
    write_text_atomically(_path(), settings.model_dump_json(indent=2) + "\n")


def _path() -> Path:
    return home() / "quota.json"
