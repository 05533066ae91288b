"""Presets on disk: found, read and checked, with line numbers.

Three places, the later wins where two files have one name: the package's own folder (a wheel
carries it inside, an editable install beside the package), then `<home>/presets`. A NAME that
looks like a file (`my.yaml`) is read as that file.

Here a preset is what its file says; `preset_shapes` puts what it names in its place.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from agnews_cli.core.run.composed import DistilledPreset, EnsemblePreset
from agnews_cli.core.run.contradictions import contradictions
from agnews_cli.core.run.method import WordCounts
from agnews_cli.core.run.preset import OneModel, Preset, Tier
from agnews_cli.core.text.spelling import nearest
from agnews_cli.errors import (
    FileMissing,
    PresetInvalid,
    PresetOfSeveral,
    PresetUnknown,
)
from agnews_cli.store.disk.home import preset_folders
from agnews_cli.store.disk.names import local
from agnews_cli.store.settings import checked, model_limits, strict_yaml
from agnews_cli.store.settings.changed import with_settings as with_settings
from agnews_cli.store.settings.strict_yaml import Document, Loc, Refused, shown

_MOST_PROBLEMS = 50
_SUFFIXES = (".yaml", ".yml")
_PARTS = ("", "ensemble", "distilled")
"""Where they lie in a folder of presets: those of several models in folders of their own."""
_EXAMPLES = {"linear": "linear", "ensemble": "ensemble-cpu", "distilled": "minilm-from-mpnet"}
AnyWritten = Preset | EnsemblePreset | DistilledPreset


# ---- finding ------------------------------------------------------------------------------------


def names() -> tuple[str, ...]:
    """Names of all presets, agnews's and the user's, in alphabetical order."""
    return tuple(sorted(_files()))


def load(name_or_path: str, *, action: str = "this") -> Preset:
    """The preset of one model of that name, or in that file. `action`: what it is wanted for.

    Raises PresetUnknown, FileMissing (a path that is not there), PresetOfSeveral, or PresetInvalid,
    which lists every problem of the file with its line.
    """
    found = written(locate(name_or_path), is_named=not is_path(name_or_path)).preset()
    if isinstance(found, Preset):
        return found
    raise PresetOfSeveral(name=found.name, tier=found.tier, action=action)


def load_all() -> tuple[Preset, ...]:
    """Every preset of one model, by tier, then the preferred first. Raises PresetInvalid for the
    first bad."""
    every = (written(path, is_named=True).preset() for _, path in sorted(_files().items()))
    tiers = get_args(OneModel)
    return tuple(
        sorted(
            (preset for preset in every if isinstance(preset, Preset)),
            key=lambda preset: (tiers.index(preset.tier), -preset.order, preset.name),
        )
    )


def text(name_or_path: str) -> str:
    """The YAML itself, comments included."""
    path = locate(name_or_path)
    with _refusals(path):
        return strict_yaml.content(path)


def is_own(name_or_path: str) -> bool:
    """Whether it is the user's, and not there where agnews alone is. Raises like `load`."""
    return is_path(name_or_path) or locate(name_or_path).is_relative_to(preset_folders()[-1])


def is_path(name: str) -> bool:
    return name.endswith(_SUFFIXES) or "/" in name or os.sep in name


def locate(name: str, *, beside: Path = Path()) -> Path:
    """Its file. `beside`: the folder that a relative path begins in."""
    if is_path(name):
        path = beside / local(name)
        if not path.exists():
            raise FileMissing(path=name, hint="`agnews presets ls` lists the presets by name.")
        return path
    files = _files()
    if name not in files:
        raise PresetUnknown(name=name, near=nearest(name, sorted(files)))
    return files[name]


def _files() -> dict[str, Path]:
    found: dict[str, Path] = {}
    for folder in (each / part for each in preset_folders() for part in _PARTS):
        if folder.is_dir():
            found |= {
                path.stem: path
                for path in sorted(folder.iterdir())
                if path.suffix == ".yaml" and path.stem != model_limits.NAME
            }
    return found


@contextmanager
def _refusals(path: Path) -> Iterator[None]:
    """What the reader refuses, as PresetInvalid."""
    try:
        yield
    except Refused as error:
        line = f"  {path}:{error.line}: {error.reason}"
        raise PresetInvalid(path=path, problems=line) from error
    except OSError as error:
        reason = f"cannot be read: {error.strerror or error}" if path.is_file() else "not a file"
        raise PresetInvalid(path=path, problems=f"  {path}:1: {reason}") from error


# ---- reading ------------------------------------------------------------------------------------


@dataclass(slots=True)
class Written:
    """A preset's file, and what was found wrong in it so far."""

    path: Path
    document: Document
    problems: list[tuple[int, Loc, str]]

    def preset(self) -> AnyWritten:
        """Raises PresetInvalid with every problem."""
        found = self.at(())
        self.require_none()
        assert found is not None
        return found

    def at(self, loc: Loc) -> AnyWritten | None:
        """What a mapping in it says; problems are noted."""
        data: Any = self.document.data
        for part in loc:
            data = data[part]
        found, errors = validate(data)
        for inner, why in errors:
            self.note((*loc, *inner), why)
        return None if errors else found

    def note(self, loc: Loc, why: str) -> None:
        self.problems.append((self.document.line(loc), loc, why))

    def require_none(self) -> None:
        """Raises PresetInvalid where there are problems."""
        if not self.problems:
            return
        lines = [_problem(self.path, *problem) for problem in sorted(self.problems, key=_place)]
        if len(lines) > _MOST_PROBLEMS:
            lines[_MOST_PROBLEMS:] = [f"  … and {len(lines) - _MOST_PROBLEMS} more"]
        whole = _EXAMPLES.get(str(self.document.data.get("tier")), "minilm")
        hint = f"`agnews presets show {whole}` prints a complete one."
        raise PresetInvalid(path=self.path, problems="\n".join(lines), hint=hint)


def written(path: Path, *, is_named: bool = False) -> Written:
    """`is_named`: it was asked for by its file's name, which it must bear. Raises PresetInvalid for
    what is no mapping in YAML."""
    with _refusals(path):
        document = strict_yaml.read(path)
    if not isinstance(document.data, dict):
        found = "nothing" if document.data is None else shown(document.data)
        line = f"  {path}:{document.lines[()]}: should be fields and values (found {found})"
        raise PresetInvalid(path=path, problems=line)
    made = Written(path, document, list(document.problems))
    name = document.data.get("name")
    if is_named and isinstance(name, str) and name != path.stem:
        made.note(("name",), f"should be the file's name, {path.stem!r} (found {shown(name)})")
    return made


def validate(data: Mapping[str, Any]) -> tuple[AnyWritten | None, list[checked.Problem]]:
    """By its tier."""
    tier = data.get("tier")
    if tier == "ensemble":
        return checked.validate(EnsemblePreset, data)
    if tier == "distilled":
        return checked.validate(DistilledPreset, data)
    found, errors = checked.validate(Preset, data)
    known = f"should be {checked.either(get_args(Tier))} (found {shown(tier)})"
    unread = [] if found is None else [(loc, _UNREAD) for loc in _unread(found)]
    if found is not None:
        unread += [(("training", name), why) for name, why in contradictions(found.training)]
    return found, unread + [
        (loc, known if loc == ("tier",) and "tier" in data else why) for loc, why in errors
    ]


_UNREAD = "a linear model does not read it: leave it out"


def _unread(preset: Preset) -> list[Loc]:
    """What is set of a linear model and not read by it."""
    if not isinstance(preset.method, WordCounts):
        return []
    usual = type(preset.training).model_fields
    return [
        ("training", name)
        for name, value in preset.training
        if name != "lr"  # which a file must say of every other model
        and not preset.reads(f"training.{name}")
        and value != usual[name].default
    ]


def _problem(path: Path, line: int, loc: Loc, reason: str) -> str:
    where = ".".join(map(str, loc))
    return f"  {path}:{line}: {where + ': ' if where else ''}{reason}"


def _place(problem: tuple[int, Loc, str]) -> tuple[int, str]:
    return problem[0], ".".join(map(str, problem[1]))
