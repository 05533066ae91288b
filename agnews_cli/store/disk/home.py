"""Where agnews keeps what outlives a run: the ledger and the user's presets, and a cache.

Both folders are on local disk, never on a mounted drive: SQLite needs locks that drives fake.
Neither is created here; whoever writes creates.
"""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

import agnews_cli

PRESET_PARTS = ("", "baseline", "ensemble", "distilled", "for-platform", "for-goal")
"""Folders of a folder of presets: those of one model in it, others by tier."""


def home() -> Path:
    """The ledger's and the user's presets' folder: `AGNEWS_HOME`, or the platform's data folder."""
    return _named("AGNEWS_HOME") or platformdirs.user_data_path("agnews", appauthor=False)


def cache() -> Path:
    """What can be made again at any time: `AGNEWS_CACHE`, or the platform's cache folder."""
    return _named("AGNEWS_CACHE") or platformdirs.user_cache_path("agnews", appauthor=False)


def preset_folders() -> tuple[Path, ...]:
    """Where presets and platforms' limits lie, the user's last; some may not be there."""
    package = Path(agnews_cli.__file__).parent
    project = package.parent
    # Installed, `project` is site-packages, where a folder `presets` is somebody else's.
    beside = (project / "presets",) if (project / "pyproject.toml").is_file() else ()
    return (package / "presets", *beside, home() / "presets")


def _named(variable: str) -> Path | None:
    value = os.environ.get(variable, "")
    return Path(value).expanduser().absolute() if value else None
