"""A file of one's own that extends a preset: `agnews presets copy NAME FILE`."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path
from typing import Any

from agnews_cli.core.graph.asked import AnyPreset, Single
from agnews_cli.core.run.identity import without_defaults
from agnews_cli.errors import FileThere, UsageError
from agnews_cli.store.disk import outputs
from agnews_cli.store.settings import preset_files, preset_shapes, presets, strict_yaml

_HEAD = """\
# {name} as you want it. It extends the preset {name}: what is not said here is as it is there.
# What each field does and where its value comes from: agnews presets explain {file}
# To train with it: agnews auto --preset {file}

"""
_ONE = """
# The values of {name}. Take the # away before a line, and before the group above it, to change it;
# a group may hold any of its fields (docs/presets.md).
"""
_SEVERAL = """
# What {name} names is changed in full: a list here takes the place of the whole list there.
"""
_GROUPS = ("model", "method", "training", "short_of_time", "data")
_GROUPS_OF_SEVERAL = ("members", "how", "folds", "teacher", "student", "distillation")


def copy(name: str, file: Path, *, force: bool) -> Path:
    """Write the file; where it lies. Raises FileThere, UsageError for what is no name of a YAML
    file, and like `preset_shapes.load`."""
    shape = preset_shapes.load(name)
    if file.suffix not in preset_files.SUFFIXES:
        hint = f"agnews presets copy {shlex.quote(name)} {shlex.quote(str(_yaml(file)))}"
        raise UsageError(message=f"{file} is not the name of a YAML file.", hint=hint)
    if file.exists() and not force:
        raise FileThere(path=file, hint="Write it over with --force, or name another file.")
    own = {"name": _own(file), "extends": _extended(name, file)}
    own |= {"summary": f"{shape.name} as I want it."}
    text = _HEAD.format(name=shape.name, file=shlex.quote(str(file))) + strict_yaml.dump(own)
    text += (_ONE if isinstance(shape, Single) else _SEVERAL).format(name=shape.name)
    text += "".join(f"# {line}\n" for line in strict_yaml.dump(_said(shape, name)).splitlines())
    return outputs.write(file, text)


def _said(shape: AnyPreset, name: str) -> dict[str, Any]:
    """What there is to change: of one model all groups, else what the file itself says."""
    if isinstance(shape, Single):
        said = without_defaults(shape.preset)
        return {group: said[group] for group in _GROUPS if group in said}
    data = presets.written(preset_files.locate(name)).layers.data
    return {group: said for group, said in data.items() if group in _GROUPS_OF_SEVERAL}


def _yaml(file: Path) -> Path:
    return file.with_suffix(".yaml") if file.name else Path("mine.yaml")


def _extended(name: str, file: Path) -> str:
    """A file is named from where the copy will lie."""
    if not preset_files.is_path(name):
        return name
    found = os.path.relpath(preset_files.locate(name).resolve(), file.absolute().parent)
    return found if preset_files.is_path(found) else f"./{found}"


def _own(file: Path) -> str:
    """A name that a preset may have."""
    return re.sub(r"[^a-z0-9.-]+", "-", file.stem.casefold()).strip("-.") or "mine"
