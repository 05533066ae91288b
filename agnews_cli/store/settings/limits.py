"""Limits of platforms on disk: shipped files, and under the same names what the user changed.

`presets/platforms/NAME.yaml` beside the presets; `<home>/presets/platforms/NAME.yaml` is laid over
it field by field, so that it holds only what differs. A platform of the user's own needs a whole
file.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from agnews_cli.core.hours.limits import PlatformLimits
from agnews_cli.errors import LimitsInvalid
from agnews_cli.store.disk.home import preset_folders
from agnews_cli.store.settings import strict_yaml
from agnews_cli.store.settings.strict_yaml import Document, Refused, shown

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
    documents = [(path, _document(path)) for path in layers if path.is_file()]
    if not documents:
        return None
    data: dict[str, Any] = {}
    for _, document in documents:
        data = _laid_over(data, document.data or {})
    try:
        limits = PlatformLimits.model_validate_json(json.dumps(data), strict=True)
    except ValidationError as error:
        lines = [_problem(documents, detail, data) for detail in error.errors(include_url=False)]
        raise LimitsInvalid(path=documents[-1][0], problems="\n".join(sorted(lines))) from error
    if limits.platform != name:
        problem = f"  {documents[-1][0]}:1: platform: should be the file's name, {name!r}"
        raise LimitsInvalid(path=documents[-1][0], problems=problem)
    return limits


def _is_common(path: Path) -> bool:
    try:
        return _COMMON.search(strict_yaml.content(path)) is not None
    except (OSError, Refused):
        return True  # whoever loads it says what is wrong


def _files(folder: Path) -> list[Path]:
    return [path for path in (folder / _FOLDER).iterdir() if path.suffix == ".yaml"]


def _document(path: Path) -> Document:
    try:
        document = strict_yaml.read(path)
    except Refused as error:
        problem = f"  {path}:{error.line}: {error.reason}"
        raise LimitsInvalid(path=path, problems=problem) from error
    except OSError as error:
        problem = f"  {path}:1: cannot be read: {error.strerror or error}"
        raise LimitsInvalid(path=path, problems=problem) from error
    problems = [f"  {path}:{line}: {reason}" for line, _, reason in document.problems]
    if not isinstance(document.data, dict):
        problems.append(f"  {path}:1: should be fields and values (found {shown(document.data)})")
    if problems:
        raise LimitsInvalid(path=path, problems="\n".join(problems))
    return document


def _laid_over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    both = dict(below)
    for key, value in above.items():
        held = both.get(key)
        if isinstance(held, dict) and isinstance(value, dict):
            value = _laid_over(held, value)
        both[key] = value
    return both


def _problem(
    documents: list[tuple[Path, Document]], detail: Mapping[str, Any], data: Mapping[str, Any]
) -> str:
    loc = detail["loc"]
    path, document = next(((p, d) for p, d in reversed(documents) if loc in d.lines), documents[-1])
    value: Any = data
    for part in loc:
        value = value.get(part) if isinstance(value, dict) else None
    found = "" if isinstance(value, dict) else f" (found {shown(value)})"
    reason = str(detail["msg"]).removeprefix("Input ").removeprefix("Value error, ")
    where = ".".join(map(str, loc))
    return f"  {path}:{document.line(loc)}: {where + ': ' if where else ''}{reason}{found}"
