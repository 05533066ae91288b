"""`agnews repro`."""

from pathlib import Path
from typing import Annotated

import typer
from typer import Option

from agnews_cli.cli.manual import examples
from agnews_cli.cli.options import Folder, Json, Quiet, Run
from agnews_cli.core.run.request import STORES


@examples(
    ("agnews repro latest", "make the newest run again, and compare"),
    ("agnews repro RUN --into again", "in a store of that name"),
)
def repro(
    run: Run = "latest",
    into: Annotated[
        Path,
        Option(help="The store where it is made again.", metavar="DIR", rich_help_panel=STORES),
    ] = Path("agnews-repro"),
    store: Folder = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Make a finished run again from its record, and compare weights and answers.

    Exit code 1: they are not the same, bit for bit; how far apart is said.
    """
    from agnews_cli.cli.output import Output
    from agnews_cli.workflows.train import repro as workflow
    from agnews_cli.workflows.train.scene import Request

    out = Output(json=json, quiet=quiet)
    plan = workflow.planned(run, store, into, Request())
    for warning in plan.warnings:
        out.warn(warning)
    with out.progress(beside=True) as progress:
        found = workflow.made_again(plan, show=progress.event)
    out.result(found.as_json())
    out.screen(found.likeness.words(), *(f"  - {one}" for one in found.changed))
    if not found.likeness.is_exact:
        raise typer.Exit(1)
