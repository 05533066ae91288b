"""A file that is shipped and, laid over it field by field, what the user changed of it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from agnews_cli.errors import LimitsInvalid
from agnews_cli.store.settings import strict_yaml
from agnews_cli.store.settings.strict_yaml import Document, shown

M = TypeVar("M", bound=BaseModel)


def read(layers: Sequence[Path], model: type[M]) -> M:
    """`layers`: at least one file, the user's last.

    Raises LimitsInvalid, which lists every problem with its file and line.
    """
    documents = [(path, _document(path)) for path in layers]
    data: dict[str, Any] = {}
    for _, document in documents:
        data = _laid_over(data, document.data or {})
    try:
        return model.model_validate_json(json.dumps(data), strict=True)
    except ValidationError as error:
        lines = [_problem(documents, detail, data) for detail in error.errors(include_url=False)]
        raise LimitsInvalid(path=documents[-1][0], problems="\n".join(sorted(lines))) from error


def _document(path: Path) -> Document:
    document = strict_yaml.mapping(path, LimitsInvalid)
    problems = [f"  {path}:{line}: {reason}" for line, _, reason in document.problems]
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
