"""`agnews status`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def status(
    run: Annotated[str, typer.Argument(help="Run id, its beginning, or latest.")] = "latest",
    store: Annotated[Path | None, typer.Option(help="Folder for runs. [./agnews-runs]")] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Show how a run stands, and what of it is saved where, and how surely."""
    from agnews_cli.cli import show
    from agnews_cli.cli.output import Output
    from agnews_cli.workflows.status import status

    out = Output(json=json)
    found = status(run, store)
    out.result(found.as_json())
    show.status(out, found)
