"""A mapping against a strict model: every mistake in words, with its place.

Types are pydantic's strict ones; only an integer where a number is expected is taken.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from itertools import chain
from typing import Any, TypeGuard, TypeVar, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from agnews_cli.core.text.spelling import nearest
from agnews_cli.store.settings.strict_yaml import Loc, shown

Problem = tuple[Loc, str]
M = TypeVar("M", bound=BaseModel)


def validate(model: type[M], data: Mapping[str, Any]) -> tuple[M | None, list[Problem]]:
    """Through JSON, where pydantic's strict mode takes a list for a tuple and `3` for 3.0."""
    try:
        return model.model_validate_json(json.dumps(data), strict=True), []
    except ValidationError as error:
        return None, [
            (loc, _reason(model, detail["type"], detail["msg"], loc, data))
            for detail in error.errors(include_url=False)
            for loc in [_there(_place_of(model, detail), data)]
        ]


@cache
def fields(model: type[BaseModel], prefix: str = "", *, of_each: bool = False) -> tuple[str, ...]:
    """Dotted names of all values that it may have: `training.lr`. `of_each`: those in lists too."""
    found: list[str] = []
    for name, info in model.model_fields.items():
        is_open = _has_kinds(info) or (of_each and get_origin(info.annotation) is tuple)
        inside = [kind for kind in _members(info.annotation) if is_open and _is_group(kind)]
        whole: list[Any] = [info.annotation]
        for kind in inside or whole:
            if _is_group(kind):
                found += fields(kind, f"{prefix}{name}.", of_each=of_each)
            else:
                found.append(prefix + name)
    return tuple(dict.fromkeys(found))


@cache
def unions(model: type[BaseModel]) -> dict[str, tuple[type[BaseModel], ...]]:
    """Groups whose fields depend on their `kind`."""
    return {
        name: tuple(kind for kind in _members(info.annotation) if _is_group(kind))
        for name, info in model.model_fields.items()
        if _has_kinds(info)
    }


def kinds(model: type[BaseModel], group: str) -> list[str]:
    """What a group can be."""
    return [one.model_fields["kind"].default for one in unions(model)[group]]


def _has_kinds(info: FieldInfo) -> bool:
    """Whether it is a union that its `kind` decides, or nothing at all."""
    inside = (getattr(one, "__metadata__", ()) for one in get_args(info.annotation))
    return any(getattr(one, "discriminator", None) for one in (info, *chain(*inside)))


def _members(annotation: Any) -> Iterator[Any]:
    """Of a union, those of a union in it too."""
    inner = get_args(annotation)
    if not inner or _is_group(annotation):
        yield annotation
        return
    for one in inner:
        if _is_group(one) or get_args(one):
            yield from _members(one)


def _is_group(kind: Any) -> TypeGuard[type[BaseModel]]:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _place_of(model: type[BaseModel], detail: Any) -> Loc:
    """Where in the file: pydantic puts a union's kind between (`method.lora.rank`)."""
    loc: Loc = detail["loc"]
    if detail["type"] in ("union_tag_invalid", "union_tag_not_found"):
        return (*loc, "kind")
    return (loc[0], *loc[2:]) if loc and loc[0] in unions(model) and len(loc) > 2 else loc


def _there(loc: Loc, data: Any) -> Loc:
    """The same without what pydantic puts between in lists of unions, or behind a key that is
    wrong itself, which is no place."""
    found: list[str | int] = []
    loc = loc[:-1] if loc[-1:] == ("[key]",) else loc
    for number, part in enumerate(loc, 1):
        try:
            data = data[part]
        except (LookupError, TypeError):
            if number < len(loc):
                continue
        found.append(part)
    return tuple(found)


def _reason(
    model: type[BaseModel], kind: str, message: str, loc: Loc, data: Mapping[str, Any]
) -> str:
    if kind in ("missing", "union_tag_not_found"):
        return "required (found nothing)"
    value: Any = data
    for part in loc:
        value = value[part]
    groups = unions(model)
    if kind == "union_tag_invalid":
        kinds = [member.model_fields["kind"].default for member in groups[str(loc[0])]]
        return f"should be {either(kinds)} (found {shown(value)}){nearest(str(value), kinds)}"
    if kind == "extra_forbidden":
        parent, last = ".".join(map(str, loc[:-1])), str(loc[-1])
        known = fields(model, of_each=True)
        if parent in groups and parent + "." + last in known:
            of, here = kind_with(model, parent, last), data[parent]["kind"]
            return f"{parent}.kind is {here!r}, and only {of} has this (found {shown(value)})"
        parent = ".".join(part for part in parent.split(".") if not part.isdigit())
        near = [name.rpartition(".")[2] for name in known if _parent(name) == parent]
        near += sorted({_parent(name) for name in known} - {""}) if not parent else []
        message = f"there is no such field{nearest(last, near)}"
    return f"{message.removeprefix('Input ')} (found {shown(value)})"


def either(names: Sequence[str]) -> str:
    """`'a', 'b' or 'c'`"""
    *first, last = map(repr, names)
    return f"{', '.join(first)} or {last}" if first else last


def kind_with(model: type[BaseModel], group: str, field: str) -> str:
    """The kinds of a group that have this field."""
    every = unions(model)[group]
    return either([m.model_fields["kind"].default for m in every if field in m.model_fields])


def _parent(name: str) -> str:
    return name.rpartition(".")[0]
