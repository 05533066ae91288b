"""A group of commands that reads a command's options only when that command is called.

`agnews --help` shows names and summaries; the options of every command, which Typer reads from its
signature, took a quarter of the time (benchmarks/RESULTS.md).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command, get_group

Part = Callable[..., None] | typer.Typer


def lazy_group(parts: Mapping[str, Part]) -> type[TyperGroup]:
    """The class for `Typer(cls=…)` whose commands are these functions and groups, by name."""

    class LazyGroup(TyperGroup):
        def __init__(self, **settings: Any) -> None:
            super().__init__(**{**settings, "commands": _Commands(parts)})

        def list_commands(self, ctx: Any) -> list[str]:
            return list(parts)

        def format_commands(self, ctx: Any, formatter: Any) -> None:
            named = {name: TyperCommand(name, help=_summary(part)) for name, part in parts.items()}
            TyperGroup(commands={**named}).format_commands(ctx, formatter)

    return LazyGroup


class _Commands(Mapping[str, Any]):
    """Commands by name, each made when it is asked for."""

    def __init__(self, parts: Mapping[str, Part]) -> None:
        self._parts = parts

    def __getitem__(self, name: str) -> Any:
        part = self._parts[name]
        if isinstance(part, typer.Typer):
            return get_group(part)
        return command(name, part)

    def __iter__(self) -> Iterator[str]:
        return iter(self._parts)

    def __len__(self) -> int:
        return len(self._parts)


def command(name: str, part: Callable[..., None]) -> Any:
    """The command that calls `part`, with the settings of its context that `part` has."""
    alone = typer.Typer(add_completion=False, rich_markup_mode=None)
    alone.command(name, context_settings=getattr(part, "context_settings", None))(part)
    return get_command(alone)


def _summary(part: Part) -> str | None:
    if not isinstance(part, typer.Typer):
        return inspect.getdoc(part)
    return part.info.help if isinstance(part.info.help, str) else None
