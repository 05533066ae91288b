"""`agnews presets`."""

from __future__ import annotations

from itertools import groupby
from typing import Annotated

import typer

from agnews_cli.cli import completion
from agnews_cli.cli.manual import Command, Group, examples

app = typer.Typer(
    help="List, show and check presets.", no_args_is_help=True, rich_markup_mode=None, cls=Group
)


@app.command("ls", cls=Command)
@examples(
    ("agnews presets ls", "a table"),
    ("agnews presets ls --json", "for a program"),
)
def ls(json: Annotated[bool, typer.Option("--json", help="One JSON array.")] = False) -> None:
    """List every preset, by tier; the preferred first."""
    from agnews_cli.cli import described
    from agnews_cli.cli.output import Output
    from agnews_cli.store.settings import preset_shapes

    out = Output(json=json)
    every = preset_shapes.load_all()
    out.result([described.as_json(shape) for shape in every])
    for tier, shapes in groupby(every, key=lambda shape: shape.tier):
        rows = list(map(described.row, shapes))
        out.table(("name", "weights", "method", "good for"), rows, title=tier)
        out.screen("")
    out.screen("Every field of one: agnews presets show NAME")


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
    from agnews_cli.store.settings import preset_shapes, presets

    preset_shapes.load(name)
    Output().screen(presets.text(name).rstrip("\n"))


@app.command("validate", cls=Command)
@examples(
    ("agnews presets validate mine.yaml", "every mistake with its line"),
)
def validate(
    name: Annotated[
        str, typer.Argument(help="Preset name or YAML file.", autocompletion=completion.presets)
    ],
) -> None:
    """Check a preset and all that it names, and say which models it trains."""
    from agnews_cli.cli import described
    from agnews_cli.cli.output import Output
    from agnews_cli.store.settings import preset_shapes

    shape = preset_shapes.load(name)
    out = Output()
    out.screen(f"{shape.name} is a preset of tier {shape.tier}: {shape.summary}")
    trained, by_turns = described.models(shape)
    out.table(("trained", "preset", "method", "weights", "seed"), trained)
    if by_turns:
        out.screen(f"and {by_turns} trainings on parts of the rows, by turns")
