"""Help as agnews shows it: options and commands in groups, examples that can be pasted.

Typer's own rich help takes twice the time of this one (benchmarks/startup.py has a bar).
"""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import typer
from typer.core import TyperCommand, TyperGroup

Function = TypeVar("Function", bound=Callable[..., Any])
Line = tuple[str, str]
"""A command line, and what it does."""

_OTHER = "Options"
_VALUES = (
    (r"<(?:int|float)(?: range)?>|\b(?:INTEGER|FLOAT)(?: RANGE)?\b", "N"),
    (r"<(?:path|file|directory)>", "PATH"),
    (r"[<\[](\w+(?:\|\w+)+)[>\]]", r"\1"),
    (r"<[^<>]*>", "TEXT"),
)
_EXTRA = r"\s*\\?\[(?:default: ([^;\]]*?))?(?:; )?(?:required|[^;\] ]*[<>]=?[^;\] ]*)?\]$"
"""What Typer adds to an option's help: the default, and the range of a number."""


def examples(*lines: Line) -> Callable[[Function], Function]:
    """Show these lines in the command's help."""

    def note(function: Function) -> Function:
        function.examples = lines  # type: ignore[attr-defined]
        return function

    return note


def item(value: str, help_: str) -> Any:
    """An answer to Tab."""
    try:
        from typer._click.shell_completion import CompletionItem
    except ImportError:  # before 0.26 Typer was built on Click
        from click.shell_completion import CompletionItem  # type: ignore[assignment]
    return CompletionItem(value, help=help_)


class Command(TyperCommand):
    """A command whose options are shown by their `rich_help_panel`, and then its examples."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        params = self.get_params(ctx)
        needed = [p for p in params if p.param_type_name == "option" and p.required]
        words = [p for p in params if p.param_type_name == "argument"]
        return ["[OPTIONS]", *(f"{p.opts[0]} {p.metavar}" for p in needed), *map(_word, words)]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        _write_options(self, ctx, formatter)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        _write_examples(getattr(self.callback, "examples", ()), formatter)


class Group(TyperGroup):
    """A group of commands, shown in panels."""

    meant: Mapping[str, str] = {}
    """What a word is here that elsewhere is a command."""

    def panels(self, ctx: Any) -> Mapping[str, Mapping[str, str]]:
        """Summaries of the commands, by panel and by name."""
        listed = {name: self.get_command(ctx, name) for name in self.list_commands(ctx)}
        return {"Commands": {n: _first(c.help) for n, c in listed.items() if c}}

    def shell_complete(self, ctx: Any, incomplete: str) -> list[Any]:
        """By `panels`: what is imported only when it is called stays so."""
        commands = [pair for panel in self.panels(ctx).values() for pair in panel.items()]
        answers = [item(name, said) for name, said in commands if name.startswith(incomplete)]
        # Options as the class above TyperGroup has them; before Typer 0.26 that is a group too.
        others = super(TyperGroup, self).shell_complete(ctx, incomplete)
        return answers + [each for each in others if str(each.value).startswith("-")]

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name = args[0]
        is_known = name.startswith("-") or self.get_command(ctx, name) is not None
        if is_known or ctx.resilient_parsing:
            return super().resolve_command(ctx, args)
        raise self._unknown(ctx, args)

    def _unknown(self, ctx: Any, args: Sequence[str]) -> Exception:
        from difflib import get_close_matches

        from agnews_cli.errors import CommandUnknown

        path, names = ctx.command_path, self.list_commands(ctx)
        near = get_close_matches(args[0], names, n=2)
        meant = self.meant.get(args[0])
        if meant is not None:
            hint = f"Here that is: {shlex.join([*path.split(), *meant.split(), *args[1:]])}"
            return CommandUnknown(command=path, name=args[0], near="", hint=hint)
        groups = {name: self.get_command(ctx, name) for name in names if not near}
        inside = [n for n, g in groups.items() if isinstance(g, Group) and args[0] in g.commands]
        hint = f"All of them: {path} --help"
        if near or inside:
            words = [near[0], *args[1:]] if near else [inside[0], *args]
            hint = f"Try: {shlex.join([*path.split(), *words])}"
        elif ctx.parent is None and Path(args[0]).suffix:
            hint = f"To train on it: {shlex.join([path, 'auto', *args])}"
        said = f" (did you mean {' or '.join(near)}?)" if near else ""
        return CommandUnknown(command=path, name=args[0], near=said, hint=hint)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        panels = self.panels(ctx)
        width = max(len(name) for panel in panels.values() for name in panel)
        for title, commands in panels.items():
            _write_list(title, [(f"{n:{width}}", said) for n, said in commands.items()], formatter)
        _write_options(self, ctx, formatter)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        _write_examples(getattr(self.callback, "examples", ()), formatter)
        if self.epilog:
            formatter.write(f"\n{self.epilog}\n")


def parameters(command: Any, ctx: Any) -> dict[str, list[Line]]:
    """What can be given to a command, by the panel that help shows it in."""
    panels: dict[str, list[Line]] = {}
    for param in command.get_params(ctx):
        record = param.get_help_record(ctx)
        if record is not None:
            is_word = param.param_type_name == "argument"
            record = (_word(param), _plain(*record)[1]) if is_word else _plain(*record)
            usual = "Arguments" if is_word else _OTHER
            title = getattr(param, "rich_help_panel", None) or usual
            panels.setdefault(title, []).append(record)
    titles = sorted(panels, key=lambda title: (title == _OTHER, title != "Arguments"))
    return {title: panels[title] for title in titles}


def _write_options(command: Any, ctx: Any, formatter: Any) -> None:
    for title, lines in parameters(command, ctx).items():
        _write_list(title, lines, formatter)


def _first(help_: str | None) -> str:
    """The first paragraph, on one line."""
    return " ".join((help_ or "").partition("\n\n")[0].split())


def _word(param: Any) -> str:
    """An argument as usage shows it: `RUN`, `[DATA]`, `[TEXTS]...`."""
    name = str(param.metavar or param.name.upper()).strip("[]")
    shown = name if param.required else f"[{name}]"
    return f"{shown}..." if param.nargs != 1 else shown


def _plain(names: str, said: str) -> Line:
    """Values in capitals, as people know them; one default, and what a number may be as an error
    says it."""
    for pattern, word in _VALUES:
        names = re.sub(pattern, word, names)
    said = said.replace(", to copy it or customize the installation", "")  # a line of Typer's
    extra = re.search(_EXTRA, said)
    if extra is None or extra[0].strip() == "[]":
        return names, said
    said = said[: extra.start()]
    return names, said if said.endswith("]") or not extra[1] else f"{said} [{extra[1]}]"


def _write_examples(lines: Sequence[Line], formatter: Any) -> None:
    if not lines:
        return
    _write_heading("Examples", formatter)
    width = max(len(line) for line, _ in lines)
    for line, meaning in lines:
        formatter.write(f"  {line:{width}}  # {meaning}\n")


def _write_list(title: str, lines: Sequence[Line], formatter: Any) -> None:
    _write_heading(title, formatter)
    formatter.indent()
    formatter.write_dl(lines, col_max=24)
    formatter.dedent()


def _write_heading(title: str, formatter: Any) -> None:
    formatter.write(f"\n{_painted(title)}\n")


def _painted(title: str) -> str:
    is_drawn = sys.stdout.isatty() and os.environ.get("TERM") not in {"dumb", "unknown"}
    return typer.style(title, bold=True) if is_drawn and not os.environ.get("NO_COLOR") else title
