"""`agnews presets`."""

from __future__ import annotations

from typing import Annotated

import typer

from agnews_cli.cli import completion
from agnews_cli.cli.manual import Command, Group, examples

app = typer.Typer(
    help="List and show presets.", no_args_is_help=True, rich_markup_mode=None, cls=Group
)


@app.command("ls", cls=Command)
@examples(
    ("agnews presets ls", "a table"),
    ("agnews presets ls --json", "for a program"),
)
def ls(json: Annotated[bool, typer.Option("--json", help="One JSON array.")] = False) -> None:
    """List every preset."""
    from agnews_cli.cli.output import Output
    from agnews_cli.store.settings import presets

    out = Output(json=json)
    found = presets.load_all()
    out.result(
        [
            {
                "name": p.name,
                "tier": p.tier,
                "model": p.model.id,
                "method": p.method.kind,
                "parameters": p.model.parameters,
                "summary": p.summary,
                "measured": [m.model_dump() for m in p.measured],
            }
            for p in found
        ]
    )
    rows = [
        (p.name, p.tier, p.method.kind, f"{p.model.parameters / 1e6:,.0f} M", p.summary)
        for p in found
    ]
    out.table(("name", "tier", "method", "weights", "good for"), rows)


@app.command("show", cls=Command)
@examples(
    ("agnews presets show minilm", "every field, with its meaning"),
    ("agnews presets show minilm > mine.yaml", "a start for your own"),
)
def show(
    name: Annotated[
        str, typer.Argument(help="Preset name or YAML file.", autocompletion=completion.presets)
    ],
) -> None:
    """Print a preset's YAML, a start for your own."""
    from agnews_cli.cli.output import Output
    from agnews_cli.store.settings import presets

    presets.load(name)
    Output().screen(presets.text(name).rstrip("\n"))
