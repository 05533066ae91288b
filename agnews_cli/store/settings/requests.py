"""What was asked of `agnews auto`, as a file that people read, edit and replay.

Its keys are the options of `agnews auto`, with `_` for `-`; a key that is not there means the
option's default. `agnews.request/1` is the only version. docs/request-file.md shows every key.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from agnews_cli.core.run.choose import Goal
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


Duration = Annotated[str, BeforeValidator(_a_duration)]
Several = Annotated[tuple[str, ...], BeforeValidator(_several)]
"""One text, or a list of them."""
Positive = Annotated[int, Field(ge=1)]


class RequestFile(BaseModel):
    """The keys of the file. None, and False, is what is not asked for."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    schema_: Literal["agnews.request/1"] = Field(alias="schema")
    data: str | None = None
    text_column: Several | None = None
    label_column: str | None = None
    id_column: str | None = None
    encoding: str | None = None
    no_header: bool = False
    raw_text: bool = False
    skip_bad_rows: bool = False
    drop_rare: Annotated[int, Field(ge=0)] | None = None
    preset: str | None = None
    model: str | None = None
    goal: Goal | None = None
    epochs: Annotated[float, Field(gt=0)] | None = None
    lr: Annotated[float, Field(gt=0, lt=1)] | None = None
    batch_size: Positive | None = None
    budget: Duration | None = None
    store: Several | None = None
    seed: Annotated[int, Field(ge=0)] | None = None
    limit_train: Annotated[int, Field(ge=8)] | None = None
    set: Several | None = None
    processes: Positive | None = None
    fresh: bool = False
    until: str | None = None
    session_hours: Annotated[str, BeforeValidator(_hours)] | None = None
    save_every: Duration | None = None
    trace: bool = False
    inexact: bool = False
    takeover: bool = False

    def asked(self) -> dict[str, Any]:
        """Key and value of everything that is asked for; several values are a list."""
        kept = self.model_dump(exclude={"schema_"}, exclude_defaults=True)
        return {key: list(v) if isinstance(v, tuple) else v for key, v in kept.items()}


class _Dumper(yaml.SafeDumper):
    """Quotes what our own reader would not read as text, and nothing else."""

    yaml_implicit_resolvers = strict_yaml.RESOLVERS

    def represent_str(self, data: str) -> yaml.ScalarNode:
        # PyYAML folds what Unicode calls a line end; escaped, it stays what it is.
        style = None if data.isprintable() else '"'
        return self.represent_scalar("tag:yaml.org,2002:str", data, style=style)


_Dumper.add_representer(str, _Dumper.represent_str)


def text(asked: Mapping[str, Any], name: str) -> str:
    """The file's text for these keys and values; `name` is what the file will be called."""
    content = {"schema": SCHEMA, **asked}
    body = yaml.dump(content, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=10**6)
    return _HEAD.format(name=name) + str(body)


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


def load(path: Path) -> RequestFile:
    """Raises FileMissing, CannotRead, or RequestInvalid with the line of every problem."""
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
        found = RequestFile.model_validate_json(json.dumps(document.data), strict=True)
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            loc = tuple(detail["loc"])
            reason = _reason(detail["type"], detail["msg"], loc, document.data)
            problems.append((document.line(loc), loc, reason))
    if problems:
        raise _invalid(path, problems)
    return found


def _reason(kind: str, message: str, loc: Loc, data: Any) -> str:
    if kind == "missing":
        return f"required (found nothing); write: {loc[-1]}: {SCHEMA}"
    value = data
    for part in loc:
        value = value[part]
    if kind == "extra_forbidden":
        known = [info.alias or key for key, info in RequestFile.model_fields.items()]
        message = f"there is no such key{nearest(str(loc[-1]), known)}"
    message = message.removeprefix("Value error, ").removeprefix("Input ")
    return f"{message} (found {strict_yaml.shown(value)})"


def _invalid(path: Path, problems: list[tuple[int, Loc, str]]) -> RequestInvalid:
    lines = [
        f"  {path}:{line}: {'.'.join(map(str, loc)) + ': ' if loc else ''}{reason}"
        for line, loc, reason in sorted(problems, key=lambda p: (p[0], str(p[1])))
    ]
    return RequestInvalid(path=path, problems="\n".join(lines))
