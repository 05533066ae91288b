"""`agnews models`."""

from typing import Annotated

import typer

from agnews_cli.cli import completion
from agnews_cli.cli.manual import Command, Group, examples

app = typer.Typer(
    help="List and show known base models: sizes, shapes, licences, what each refuses.",
    no_args_is_help=True,
    rich_markup_mode=None,
    cls=Group,
)
Json = Annotated[bool, typer.Option("--json", help="One JSON array.")]


@app.command("ls", cls=Command)
@examples(
    ("agnews models ls", "a table"),
    ("agnews models ls --json", "for a program"),
)
def ls(json: Json = False) -> None:
    """List every model of the catalogue, by family."""
    from agnews_cli.cli import catalogued
    from agnews_cli.cli.output import Output
    from agnews_cli.store.settings import catalogue

    out = Output(json=json)
    every = tuple(catalogue.load().models.values())
    out.result([catalogued.as_json(model) for model in every])
    out.table(catalogued.HEADS, map(catalogued.row, every))
    out.screen("All that is known of one: agnews models show NAME")


@app.command("show", cls=Command)
@examples(
    ("agnews models show deberta-v3-base", "its shape, licence, what goes wrong"),
    ("agnews models show DeBERTa-v3-XLarge", "which model is meant"),
)
def show(
    name: Annotated[
        str, typer.Argument(help="Name or hub id.", autocompletion=completion.base_models)
    ],
    json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Show what is known of one model."""
    from agnews_cli.cli import catalogued
    from agnews_cli.cli.output import Output
    from agnews_cli.workflows.machine import base_models

    out = Output(json=json)
    known = base_models.named(name)
    out.result(catalogued.as_json(known.model, known.notes))
    out.table((known.model.name, ""), catalogued.facts(known.model))
    for note in known.notes:
        out.screen(note)
