"""Presets on disk: found, read, checked with line numbers, and changed by `--set`.

Three places, the later wins where two files have one name: the package's own folder (a wheel
carries it inside, an editable install beside the package), then `<home>/presets`. A NAME that
looks like a file (`my.yaml`) is read as that file.

Types are pydantic's strict ones; only an integer where a number is expected is taken.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeGuard, get_args

from pydantic import BaseModel, ValidationError

from agnews_cli.core.run.preset import Preset, Tier
from agnews_cli.core.text.spelling import nearest
from agnews_cli.errors import FileMissing, PresetInvalid, PresetUnknown, SettingInvalid
from agnews_cli.store.disk.home import preset_folders
from agnews_cli.store.disk.names import local
from agnews_cli.store.settings import strict_yaml
from agnews_cli.store.settings.strict_yaml import Document, Loc, Refused, shown

_MOST_PROBLEMS = 50
_SUFFIXES = (".yaml", ".yml")


# ---- finding ------------------------------------------------------------------------------------


def names() -> tuple[str, ...]:
    """Names of all presets, agnews's and the user's, in alphabetical order."""
    return tuple(sorted(_files()))


def load(name_or_path: str) -> Preset:
    """The preset of that name, or in that file.

    Raises PresetUnknown, FileMissing (a path that is not there) or PresetInvalid, which lists
    every problem of the file with its line.
    """
    path = _locate(name_or_path)
    preset = _read(path)
    if not _is_path(name_or_path) and preset.name != path.stem:
        line = strict_yaml.read(path).line(("name",))
        reason = f"should be the file's name, {path.stem!r} (found {shown(preset.name)})"
        raise PresetInvalid(path=path, problems=_problem(path, line, ("name",), reason))
    return preset


def load_all() -> tuple[Preset, ...]:
    """Every preset, by tier, then the preferred first. Raises PresetInvalid for the first bad."""
    tiers = get_args(Tier)
    return tuple(
        sorted(
            (load(name) for name in names()),
            key=lambda preset: (tiers.index(preset.tier), -preset.order, preset.name),
        )
    )


def text(name_or_path: str) -> str:
    """The YAML itself, comments included."""
    path = _locate(name_or_path)
    with _refusals(path):
        return strict_yaml.content(path)


def is_own(name_or_path: str) -> bool:
    """Whether it is the user's, and not there where agnews alone is. Raises like `load`."""
    return _is_path(name_or_path) or _locate(name_or_path).parent == preset_folders()[-1]


def _files() -> dict[str, Path]:
    found: dict[str, Path] = {}
    for folder in preset_folders():
        if folder.is_dir():
            found |= {
                path.stem: path for path in sorted(folder.iterdir()) if path.suffix == ".yaml"
            }
    return found


def _is_path(name: str) -> bool:
    return name.endswith(_SUFFIXES) or "/" in name or os.sep in name


def _locate(name: str) -> Path:
    if _is_path(name):
        path = local(name)
        if not path.exists():
            raise FileMissing(path=name, hint="`agnews presets ls` lists the presets by name.")
        return path
    files = _files()
    if name not in files:
        raise PresetUnknown(name=name, near=nearest(name, sorted(files)))
    return files[name]


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


# ---- checking -----------------------------------------------------------------------------------


def _read(path: Path) -> Preset:
    with _refusals(path):
        document = strict_yaml.read(path)
    if not isinstance(document.data, dict):
        found = "nothing" if document.data is None else shown(document.data)
        line = f"  {path}:{document.lines[()]}: should be fields and values (found {found})"
        raise PresetInvalid(path=path, problems=line)
    preset, errors = _validate(document.data)
    problems = document.problems + [(document.line(loc), loc, why) for loc, why in errors]
    if preset is None or problems:
        lines = [_problem(path, *problem) for problem in sorted(problems, key=_place)]
        if len(lines) > _MOST_PROBLEMS:
            lines[_MOST_PROBLEMS:] = [f"  … and {len(lines) - _MOST_PROBLEMS} more"]
        raise PresetInvalid(path=path, problems="\n".join(lines))
    return preset


def _validate(data: Mapping[str, Any]) -> tuple[Preset | None, list[tuple[Loc, str]]]:
    """Through JSON, where pydantic's strict mode takes a list for a tuple and `3` for 3.0."""
    try:
        return Preset.model_validate_json(json.dumps(data), strict=True), []
    except ValidationError as error:
        return None, [
            (loc, _reason(detail["type"], detail["msg"], loc, data))
            for detail in error.errors(include_url=False)
            for loc in [_place_of(detail)]
        ]


def _place_of(detail: Any) -> Loc:
    """Where in the file: pydantic puts a union's kind between (`method.lora.rank`)."""
    loc: Loc = detail["loc"]
    if detail["type"] in ("union_tag_invalid", "union_tag_not_found"):
        return (*loc, "kind")
    return (loc[0], *loc[2:]) if loc[0] in _unions() and len(loc) > 2 else loc


def _reason(kind: str, message: str, loc: Loc, data: Mapping[str, Any]) -> str:
    if kind in ("missing", "union_tag_not_found"):
        return "required (found nothing)"
    value: Any = data
    for part in loc:
        value = value[part]
    if kind == "union_tag_invalid":
        kinds = [member.model_fields["kind"].default for member in _unions()[str(loc[0])]]
        return f"should be {' or '.join(map(repr, kinds))} (found {shown(value)})"
    if kind == "extra_forbidden":
        parent, last = ".".join(map(str, loc[:-1])), str(loc[-1])
        if parent in _unions() and parent + "." + last in _fields():
            of, here = _kind_with(parent, last), data[parent]["kind"]
            return f"{parent}.kind is {here!r}, and only {of!r} has this (found {shown(value)})"
        known = [name.rpartition(".")[2] for name in _fields() if _parent(name) == parent]
        known += sorted({_parent(name) for name in _fields()} - {""}) if not parent else []
        message = f"there is no such field{nearest(last, known)}"
    return f"{message.removeprefix('Input ')} (found {shown(value)})"


def _problem(path: Path, line: int, loc: Loc, reason: str) -> str:
    where = ".".join(map(str, loc))
    return f"  {path}:{line}: {where + ': ' if where else ''}{reason}"


def _place(problem: tuple[int, Loc, str]) -> tuple[int, str]:
    return problem[0], ".".join(map(str, problem[1]))


def _parent(name: str) -> str:
    return name.rpartition(".")[0]


def _fields(model: type[BaseModel] = Preset, prefix: str = "") -> tuple[str, ...]:
    """Dotted names of all values that a preset may have: `training.lr`."""
    found: list[str] = []
    for name, info in model.model_fields.items():
        kinds = get_args(info.annotation) if info.discriminator else (info.annotation,)
        for kind in kinds:
            if _is_group(kind):
                found += _fields(kind, f"{prefix}{name}.")
            else:
                found.append(prefix + name)
    return tuple(dict.fromkeys(found))


def _is_group(kind: Any) -> TypeGuard[type[BaseModel]]:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _unions() -> dict[str, tuple[type[BaseModel], ...]]:
    """Groups whose fields depend on their `kind`."""
    return {
        name: get_args(info.annotation)
        for name, info in Preset.model_fields.items()
        if info.discriminator is not None
    }


def _kind_with(group: str, field: str) -> str:
    return " or ".join(
        member.model_fields["kind"].default
        for member in _unions()[group]
        if field in member.model_fields
    )


# ---- changing -----------------------------------------------------------------------------------


def with_settings(preset: Preset, settings: Sequence[str]) -> Preset:
    """The preset with `field.path=value` applied in order, the value read as YAML.

    A field that holds text takes the value as typed (`model.revision=0123`). What was measured
    was measured without the settings, so it is dropped. A length or number of epochs that was set
    is not adapted to the data. A `kind` is set first, for it decides which fields there are. Raises
    SettingInvalid.
    """
    for given in sorted(settings, key=lambda given: not _sets_kind(given)):
        preset = _with_setting(preset, given)
    asked = {given.partition("=")[0].strip() for given in settings}
    exact: dict[str, int] = {}
    if "training.max_length" in asked and "training.longest" not in asked:
        exact["longest"] = preset.training.max_length
    if "training.epochs" in asked and "training.least_steps" not in asked:
        exact["least_steps"] = 0
    if exact:
        training = preset.training.model_copy(update=exact)
        preset = preset.model_copy(update={"training": training})
    return preset.model_copy(update={"measured": ()}) if settings else preset


def _sets_kind(given: str) -> bool:
    group, _, last = given.partition("=")[0].strip().rpartition(".")
    return group in _unions() and last == "kind"


def _with_setting(preset: Preset, given: str) -> Preset:
    def refuse(reason: str) -> SettingInvalid:
        return SettingInvalid(given=given, reason=reason, preset=preset.name)

    name, equals, raw = given.partition("=")
    name, known = name.strip(), [field for field in _fields() if field != "measured"]
    if not equals:
        raise refuse("expected FIELD=VALUE, such as training.lr=1e-4")
    if name not in known:
        inside = [field for field in known if field.startswith(f"{name}.")]
        if inside:
            raise refuse(f"{name!r} is a group; set one of {', '.join(inside)}")
        raise refuse(f"there is no field {name!r}{_nearest_field(name, known)}")
    try:
        document = Document.parse(raw)
    except Refused as error:
        raise refuse(error.reason) from error
    if document.problems:
        raise refuse(document.problems[0][2])
    changed, errors = _validate(_replaced(preset, name, document.data))
    if changed is None and not isinstance(document.data, dict | list | None):
        # `0123` is a number to YAML and a revision to the user.
        again, _ = _validate(_replaced(preset, name, raw.strip()))
        changed = again or changed
    if changed is None:
        raise refuse("; ".join(reason for _, reason in errors))
    return changed


def _replaced(preset: Preset, name: str, value: Any) -> dict[str, Any]:
    data: dict[str, Any] = preset.model_dump(mode="json")
    *groups, last = name.split(".")
    target = data
    for group in groups:
        target = target[group]
    if last == "kind" and groups[0] in _unions() and target[last] != value:
        target.clear()  # another kind has other fields
    target[last] = value
    return data


_OTHER_NAMES = {
    "learning_rate": "training.lr",
    "batch_size": "training.batch_tokens",
    "max_seq_length": "training.max_length",
    "warmup_ratio": "training.warmup",
    "num_train_epochs": "training.epochs",
}


def _nearest_field(name: str, known: Sequence[str]) -> str:
    """By the last word where that is known (`lr`, or another trainer's word), else by the path."""
    last = name.rpartition(".")[2]
    same = [field for field in known if field.rpartition(".")[2] == last]
    same += [_OTHER_NAMES[last]] if last in _OTHER_NAMES else []
    return f" (did you mean {same[0]!r}?)" if same else nearest(name, known)
