"""What was asked of `agnews auto`, as a file that people read, edit and replay.

Its keys are the options of `agnews auto`, with `_` for `-`; a key that is not there means the
option's default. `agnews.request/1` is the only version. docs/request-file.md shows every key.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, get_args

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    create_model,
)

from agnews_cli.core.run import forms
from agnews_cli.core.run.forms import Spelling
from agnews_cli.core.run.request import Declared, every
from agnews_cli.core.text import duration
from agnews_cli.core.text.spelling import nearest
from agnews_cli.errors import CannotRead, CannotWrite, FileMissing, RequestInvalid
from agnews_cli.store.disk import outputs
from agnews_cli.store.settings import strict_yaml
from agnews_cli.store.settings.strict_yaml import Loc, Refused

SCHEMA = "agnews.request/1"

_HEAD = """\
# Replay it: agnews auto --config {name}
# Keys are the options of `agnews auto`; an option typed beside --config wins.
"""


def _a_duration(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return value  # refused as no text
    try:
        duration.read(str(value))
    except ValueError as problem:
        raise ValueError(f"is {str(problem).rstrip('.')}") from None
    return value


def _hours(value: Any) -> Any:
    """A number of hours, or a duration; kept as the command line takes it."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError("should be a number of hours, or a duration")
    try:
        duration.read(str(value), unit_s=3600.0)
    except ValueError as problem:
        raise ValueError(f"is {str(problem).rstrip('.')}") from None
    return str(value)


def _several(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(value)
    return (value,) if isinstance(value, str) else value


def _typed(one: Declared) -> Any:
    """The type of the file's value; None, and False, is what is not asked for."""
    plain = _TYPED.get(one.ask.form) or _without_none(one.type)
    if plain is bool:
        return bool
    ask = one.ask
    bounds = Field(ge=ask.least, gt=ask.above, lt=ask.below)
    is_bounded = (ask.least, ask.above, ask.below) != (None, None, None)
    return Annotated[plain, bounds] | None if is_bounded else plain | None


def _without_none(kind: Any) -> Any:
    """Of `str | None` the `str`."""
    parts = [part for part in get_args(kind) if part is not NoneType]
    return parts[0] if isinstance(kind, UnionType) else kind


_TYPED: Mapping[Spelling, Any] = {
    forms.SEVERAL: Annotated[tuple[str, ...], BeforeValidator(_several)],
    forms.DURATION: Annotated[str, BeforeValidator(_a_duration)],
    forms.HOURS: Annotated[str, BeforeValidator(_hours)],
    forms.MOMENT: str,
}
"""Several are one text, or a list of them."""


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    schema_: Literal["agnews.request/1"] = Field(alias="schema")


@cache
def _file() -> type[_File]:
    """The file's keys: all that may be asked for."""
    keys: dict[str, Any] = {}
    for one in every():
        kind = _typed(one)
        keys[one.key] = (kind, False if kind is bool else None)
    return create_model("RequestFile", __base__=_File, **keys)


def known_keys() -> set[str]:
    """What the file may hold."""
    return {info.alias or key for key, info in _file().model_fields.items()}


def text(asked: Mapping[str, Any], name: str) -> str:
    """The file's text for these keys and values; `name` is what the file will be called."""
    content = {"schema": SCHEMA, **asked}
    return _HEAD.format(name=name) + strict_yaml.dump(content)


def save(path: Path, asked: Mapping[str, Any]) -> None:
    """Writes a new file. Raises CannotWrite, also where there is one already, or NoDiskSpace."""
    require_new(path)
    try:
        json.dumps(asked, ensure_ascii=False).encode()
        outputs.write(path, text(asked, str(path)))
    except UnicodeEncodeError as error:
        raise CannotWrite(path=path, reason="a name in it is not Unicode") from error


def require_new(path: Path) -> None:
    """Raises CannotWrite unless a new file can be made at `path`."""
    if path.exists():
        hint = "Name another file, or remove this one."
        raise CannotWrite(path=path, reason="there is something by that name", hint=hint)
    if not path.absolute().parent.is_dir():
        hint = f"Make it first: mkdir -p {shlex.quote(str(path.parent))}"
        raise CannotWrite(path=path, reason=f"there is no folder {path.parent}", hint=hint)


def unused(path: Path) -> Path:
    """`path`, or where that is taken the first free one of `name-2.yaml`, `name-3.yaml`, …"""
    number, free = 1, path
    while free.exists():
        number += 1
        free = path.with_stem(f"{path.stem}-{number}")
    return free


# ---- reading ------------------------------------------------------------------------------------


def load(path: Path) -> dict[str, Any]:
    """Key and value of everything that is asked for; several values are a list.

    Raises FileMissing, CannotRead, or RequestInvalid with the line of every problem.
    """
    if not path.exists():
        raise FileMissing(path=path, hint="`agnews wizard` asks, and writes such a file.")
    try:
        document = strict_yaml.read(path)
    except Refused as error:
        raise _invalid(path, [(error.line, (), error.reason)]) from error
    except OSError as error:
        raise CannotRead(path=path, reason=error.strerror or error) from error
    if not isinstance(document.data, dict):
        reason = f"should be keys and values (found {strict_yaml.shown(document.data)})"
        raise _invalid(path, [(document.lines[()], (), reason)])
    problems = list(document.problems)
    try:
        found = _file().model_validate_json(json.dumps(document.data), strict=True)
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            loc = tuple(detail["loc"])
            reason = _reason(detail["type"], detail["msg"], loc, document.data)
            problems.append((document.line(loc), loc, reason))
    if problems:
        raise _invalid(path, problems)
    kept = found.model_dump(exclude={"schema_"}, exclude_defaults=True)
    return {key: list(v) if isinstance(v, tuple) else v for key, v in kept.items()}


def _reason(kind: str, message: str, loc: Loc, data: Any) -> str:
    if kind == "missing":
        return f"required (found nothing); write: {loc[-1]}: {SCHEMA}"
    value = data
    for part in loc:
        value = value[part]
    if kind == "extra_forbidden":
        message = f"there is no such key{nearest(str(loc[-1]), [*known_keys()])}"
    message = message.removeprefix("Value error, ").removeprefix("Input ")
    return f"{message} (found {strict_yaml.shown(value)})"


def _invalid(path: Path, problems: list[tuple[int, Loc, str]]) -> RequestInvalid:
    lines = [
        f"  {path}:{line}: {'.'.join(map(str, loc)) + ': ' if loc else ''}{reason}"
        for line, loc, reason in sorted(problems, key=lambda p: (p[0], str(p[1])))
    ]
    return RequestInvalid(path=path, problems="\n".join(lines))
