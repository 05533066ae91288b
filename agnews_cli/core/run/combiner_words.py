"""A combiner as people type it: `greedy`, or `stack,by=logistic`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import get_args

from pydantic import ValidationError

from agnews_cli.core.run.combiner import Auto, Combiner, Plain
from agnews_cli.core.text.spelling import nearest
from agnews_cli.errors import ValueWrong

KINDS: Mapping[str, type[Combiner]] = {
    kind.model_fields["kind"].default: kind for kind in (Auto, *get_args(get_args(Plain)[0]))
}
"""By name: what may be typed, and what it is."""
_IN_FILES = ("kind", "among")
"""Fields that are no word."""
_HINT = "Examples: agnews ensemble --help; all kinds and fields: docs/combiners.md"


def read(text: str, name: str = "--how ") -> Combiner:
    """Raises ValueWrong for a kind or field that is not there, or a value that does not fit."""
    given, *settings = (part.strip() for part in text.split(","))
    kind = KINDS.get(given)
    if kind is None:
        expected = f"one of {', '.join(KINDS)}{nearest(given, list(KINDS))}"
        raise ValueWrong(name=name, given=repr(given), expected=expected, hint=_HINT)
    fields = [field for field in kind.model_fields if field not in _IN_FILES]
    found: dict[str, str] = {}
    for setting in settings:
        field, equals, value = (part.strip() for part in setting.partition("="))
        if field not in fields or not equals:
            known = ", ".join(f"{one}=…" for one in fields) or "no field"
            expected = f"{known} after {given}{nearest(field, fields)}"
            raise ValueWrong(name=name, given=repr(setting), expected=expected, hint=_HINT)
        if field in found:
            expected = f"{field} once"
            raise ValueWrong(name=name, given=repr(text), expected=expected, hint=_HINT)
        found[field] = value
    try:
        return kind.model_validate(found)
    except ValidationError as error:
        first = error.errors()[0]
        said = first["msg"].removeprefix("Input should be ")
        place = f"{name}{given},{first['loc'][0]}="
        found_there = str(first["input"])
        raise ValueWrong(name=place, given=found_there, expected=said, hint=_HINT) from None
