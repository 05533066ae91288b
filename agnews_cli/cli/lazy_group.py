"""A group of commands of which each is imported, and its options read, only when it is called.

`agnews --help` shows names and summaries; importing every command and reading its options from its
signature took a third of the time (benchmarks/RESULTS.md).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import wraps
from importlib import import_module
from typing import TYPE_CHECKING, Any

import typer
from typer.main import get_command, get_group

from agnews_cli.cli.manual import Command, Group

if TYPE_CHECKING:
    from agnews_cli.cli.asked import Options


@dataclass(frozen=True, slots=True)
class Lazy:
    """A command or a group of them: `module:name` inside `agnews_cli.cli`, and its one line."""

    place: str
    summary: str

    def load(self) -> Any:
        """The function, or the Typer application."""
        module, _, name = self.place.partition(":")
        return getattr(import_module(f"agnews_cli.cli.{module}"), name)


def lazy_group(
    panels: Mapping[str, Mapping[str, Lazy]], meant_by: Mapping[str, str]
) -> type[Group]:
    """The class for `Typer(cls=…)` whose commands are these, by the panel that help shows them
    in and by name; `meant_by`: as `Group.meant`."""
    parts = {name: part for panel in panels.values() for name, part in panel.items()}

    class LazyGroup(Group):
        meant = meant_by

        def __init__(self, **settings: Any) -> None:
            super().__init__(**{**settings, "commands": _Commands(parts)})

        def list_commands(self, ctx: Any) -> list[str]:
            return list(parts)

        def panels(self, ctx: Any) -> Mapping[str, Mapping[str, str]]:
            return {
                title: {name: part.summary for name, part in panel.items()}
                for title, panel in panels.items()
            }

    return LazyGroup


class _Commands(Mapping[str, Any]):
    """Commands by name, each made when it is asked for."""

    def __init__(self, parts: Mapping[str, Lazy]) -> None:
        self._parts = parts

    def __getitem__(self, name: str) -> Any:
        part = self._parts[name].load()
        return get_group(part) if isinstance(part, typer.Typer) else command(name, part)

    def __iter__(self) -> Iterator[str]:
        return iter(self._parts)

    def __len__(self) -> int:
        return len(self._parts)


def command(name: str, part: Callable[..., None]) -> Any:
    """The command that calls `part`."""
    alone = typer.Typer(add_completion=False, rich_markup_mode=None)
    alone.command(name, cls=Command)(spread(part))
    return get_command(alone)


def spread(part: Callable[..., None]) -> Callable[..., None]:
    """`part`, of which a parameter that stands for several options (`asked`) is given by these."""
    given: list[inspect.Parameter] = []
    records: dict[str, Options] = {}
    for parameter in inspect.signature(part, eval_str=True).parameters.values():
        options = _options(parameter)
        if options is None:
            given.append(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY))
            continue
        records[parameter.name] = options
        given += options.parameters()
    if not records:
        return part

    @wraps(part)
    def whole(**values: Any) -> None:
        read = {name: options.record(values) for name, options in records.items()}
        part(**values, **read)

    whole.__signature__ = inspect.Signature(given)  # type: ignore[attr-defined]
    whole.__annotations__ = {each.name: each.annotation for each in given}
    return whole


def _options(parameter: inspect.Parameter) -> Options | None:
    marks = getattr(parameter.annotation, "__metadata__", ())
    return next((mark for mark in marks if hasattr(mark, "parameters")), None)
