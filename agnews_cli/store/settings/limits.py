"""Limits of platforms on disk: shipped files, and under the same names what the user changed.

`presets/platforms/NAME.yaml` beside the presets; `<home>/presets/platforms/NAME.yaml` is laid over
it field by field, so that it holds only what differs. A platform of the user's own needs a whole
file.
"""

from __future__ import annotations

import re
from pathlib import Path

from agnews_cli.core.hours.limits import PlatformLimits
from agnews_cli.errors import LimitsInvalid
from agnews_cli.store.disk.home import preset_folders
from agnews_cli.store.settings import layered, strict_yaml
from agnews_cli.store.settings.strict_yaml import Refused

_FOLDER = "platforms"
_COMMON = re.compile(r"^is_common: true\s*$", re.MULTILINE)


def names() -> tuple[str, ...]:
    """Platforms that have a file, in alphabetical order."""
    found = {p.stem for f in preset_folders() if (f / _FOLDER).is_dir() for p in _files(f)}
    return tuple(sorted(found))


def common() -> tuple[str, ...]:
    """Those that say `is_common: true`, found by that line: reading every file would take long."""
    found = {
        path.stem
        for folder in preset_folders()
        if (folder / _FOLDER).is_dir()
        for path in _files(folder)
        if _is_common(path)
    }
    return tuple(sorted(found))


def load(name: str) -> PlatformLimits | None:
    """The platform's limits; None where nobody wrote any down.

    Raises LimitsInvalid, which lists every problem with its file and line.
    """
    layers = [f / _FOLDER / f"{name}.yaml" for f in preset_folders()]
    there = [path for path in layers if path.is_file()]
    if not there:
        return None
    limits = layered.read(there, PlatformLimits)
    if limits.platform != name:
        problem = f"  {there[-1]}:1: platform: should be the file's name, {name!r}"
        raise LimitsInvalid(path=there[-1], problems=problem)
    return limits


def _is_common(path: Path) -> bool:
    try:
        return _COMMON.search(strict_yaml.content(path)) is not None
    except (OSError, Refused):
        return True  # whoever loads it says what is wrong


def _files(folder: Path) -> list[Path]:
    return [path for path in (folder / _FOLDER).iterdir() if path.suffix == ".yaml"]
