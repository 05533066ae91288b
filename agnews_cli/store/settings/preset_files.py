"""Presets' files: where they lie, and their text.

Three places, the later wins where two files have one name: the package's own folder (a wheel
carries it inside, an editable install beside the package), then `<home>/presets`. A NAME that
looks like a file (`my.yaml`) is read as that file.
"""

from __future__ import annotations

import os
from pathlib import Path

from agnews_cli.core.text.spelling import nearest
from agnews_cli.errors import FileMissing, PresetInvalid, PresetUnknown
from agnews_cli.store.disk.home import PRESET_PARTS, preset_folders
from agnews_cli.store.disk.names import local
from agnews_cli.store.settings import strict_yaml

SUFFIXES = (".yaml", ".yml")
LIMITS = "limits"
"""The name of a file that lies among presets and is none (`model_limits`)."""


def names() -> tuple[str, ...]:
    """Names of all presets, agnews's and the user's, in alphabetical order."""
    return tuple(sorted(files()))


def text(name_or_path: str) -> str:
    """The YAML itself, comments included."""
    path = locate(name_or_path)
    with strict_yaml.refusals(path, PresetInvalid):
        return strict_yaml.content(path)


def is_own(name_or_path: str) -> bool:
    """Whether it is the user's, and not there where agnews alone is. Raises like `locate`."""
    return is_path(name_or_path) or locate(name_or_path).is_relative_to(preset_folders()[-1])


def is_path(name: str) -> bool:
    return name.endswith(SUFFIXES) or "/" in name or os.sep in name


def locate(name: str, *, beside: Path = Path()) -> Path:
    """Its file. `beside`: the folder that a relative path begins in.

    Raises PresetUnknown or FileMissing.
    """
    if is_path(name):
        path = beside / local(name)
        if not path.exists():
            raise FileMissing(path=name, hint="`agnews presets ls` lists the presets by name.")
        return path
    found = files()
    if name not in found:
        raise PresetUnknown(name=name, near=nearest(name, sorted(found)))
    return found[name]


def files() -> dict[str, Path]:
    """Every preset's file by its name."""
    found: dict[str, Path] = {}
    for folder in (each / part for each in preset_folders() for part in PRESET_PARTS):
        if folder.is_dir():
            found |= {
                path.stem: path
                for path in sorted(folder.iterdir())
                if path.suffix == ".yaml" and path.stem != LIMITS
            }
    return found
