"""What a run remembers of its trackers: `tracking.json`, which travels with its record."""

from __future__ import annotations

import json
from typing import Annotated

from pydantic import Field, TypeAdapter, ValidationError

from agnews_cli.core.run.request import Tracker
from agnews_cli.core.run.tracking import Tracked
from agnews_cli.store.disk import files
from agnews_cli.store.run.runs import RunFolder

NAME, LOG = "tracking.json", "tracking.log"
_MOST_BYTES = 1_000_000
_Each = Annotated[dict[str, Tracked], Field(max_length=20)]


def read(run: RunFolder) -> dict[str, Tracked]:
    """By tracker; empty where nobody wrote it down, or what is there is damaged."""
    try:
        data = files.read_plain(run.path / NAME, _MOST_BYTES)
        return TypeAdapter(_Each).validate_json(data)
    except (OSError, ValidationError):
        return {}


def write(run: RunFolder, tracker: Tracker, tracked: Tracked) -> None:
    """Raises CannotWrite or NoDiskSpace."""
    every = read(run) | {tracker: tracked}
    text = json.dumps({name: one.model_dump() for name, one in every.items()}, indent=1)
    files.write_text_atomically(run.path / NAME, text)
