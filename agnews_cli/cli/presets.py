"""`agnews presets`."""

from itertools import groupby
from pathlib import Path
from typing import Annotated

import typer

from agnews_cli.cli import completion
from agnews_cli.cli.manual import Command, Group, examples

app = typer.Typer(
    help="List, show, explain, copy and check presets.",
    no_args_is_help=True,
    rich_markup_mode=None,
    cls=Group,
)
Name = Annotated[
    str, typer.Argument(help="Preset name or YAML file.", autocompletion=completion.presets)
]


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
        out.table(*described.table(list(shapes)), title=tier)
        out.screen("")
    out.screen("Every field of one: agnews presets show NAME")


@app.command("show", cls=Command)
@examples(
    ("agnews presets show minilm", "its file"),
    ("agnews presets show colab-t4 --resolved", "with all that it extends and names"),
)
def show(
    name: Name,
    resolved: Annotated[
        bool, typer.Option("--resolved", help="With what it extends and names in its place.")
    ] = False,
) -> None:
    """Print a preset's YAML, a start for your own."""
    from agnews_cli.cli.output import Output
    from agnews_cli.store.settings import preset_shapes, presets

    shape = preset_shapes.load(name)
    text = preset_shapes.resolved_text(shape) if resolved else presets.text(name)
    Output().screen(text.rstrip("\n"))


@app.command("explain", cls=Command)
@examples(
    ("agnews presets explain minilm", "meaning, origin and reason"),
    ("agnews presets explain mine.yaml --json", "for a program"),
)
def explain(
    name: Name, json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False
) -> None:
    """Say of each field what it does, which file says it, and why it is as it is."""
    from agnews_cli.cli import described
    from agnews_cli.cli.output import Output
    from agnews_cli.workflows.presets import explained

    out = Output(json=json)
    found = explained.explain(name)
    out.result(found.as_json())
    described.explained(out, found)


@app.command("copy", cls=Command)
@examples(
    ("agnews presets copy minilm mine.yaml", "then edit mine.yaml"),
)
def copy(
    name: Name,
    file: Annotated[Path, typer.Argument(help="YAML file to write.")],
    force: Annotated[
        bool, typer.Option("--force", help="Write over a file that is there.")
    ] = False,
) -> None:
    """Write a file of your own that extends a preset: what you change, and nothing else."""
    from agnews_cli.cli.output import Output
    from agnews_cli.workflows.presets import copied

    out = Output()
    out.say(f"written: {copied.copy(name, file, force=force)}")
    out.say(f"Edit it; then: agnews auto --preset {file}")


@app.command("validate", cls=Command)
@examples(
    ("agnews presets validate mine.yaml", "every mistake with its line"),
)
def validate(
    name: Name,
) -> None:
    """Check a preset and all that it names, and say which models it trains."""
    from agnews_cli.cli import described
    from agnews_cli.cli.output import Output
    from agnews_cli.core.graph.asked import expected
    from agnews_cli.store.settings import preset_shapes

    shape = preset_shapes.load(name)
    out = Output()
    out.screen(f"{shape.name} is a preset of tier {shape.tier}: {shape.summary}")
    trained, by_turns = described.models(shape)
    out.screen(*(f"Expected accuracy: {one.words}" for one in expected(shape)))
    out.table(("trained", "preset", "method", "weights", "seed"), trained)
    if by_turns:
        out.screen(f"and {by_turns} trainings on parts of the rows, by turns")
