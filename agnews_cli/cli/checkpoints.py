"""`agnews checkpoints`: what is saved of a run that is not finished, and whether it is whole."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    no_args_is_help=True, help="What is saved of unfinished runs.", rich_markup_mode=None
)
Run = Annotated[str, typer.Argument(help="Run id, its beginning, or latest.")]
Store = Annotated[Path | None, typer.Option(help="Folder for runs. [./agnews-runs]")]
Json = Annotated[bool, typer.Option("--json", help="One JSON array.")]


@app.command("ls")
def ls(run: Run = "latest", store: Store = None, json: Json = False) -> None:
    """List a run's checkpoints, the newest first; nothing is read but their manifests."""
    from agnews_cli.cli.output import Output
    from agnews_cli.store.runs import size
    from agnews_cli.workflows.saved import checkpoints

    out = Output(json=json)
    found = checkpoints(run, store)
    out.result([line.as_json() for line in found])
    rows = [(c.id, c.candidate, str(c.step), size(c.size_bytes), c.made_at) for c in found]
    out.table(("checkpoint", "model", "step", "size", "saved"), rows)


@app.command("verify")
def verify(run: Run = "latest", store: Store = None, json: Json = False) -> None:
    """Read every byte of a run's checkpoints; exit code 74 when one is damaged."""
    from agnews_cli.cli.output import Output
    from agnews_cli.workflows.saved import verified

    out = Output(json=json)
    found = verified(run, store)
    out.result([{"id": id_, "problem": wrong} for id_, wrong in found])
    out.table(("checkpoint", "state"), [(id_, wrong or "whole") for id_, wrong in found])
    if any(wrong for _, wrong in found):
        raise typer.Exit(74)


@app.command("prune")
def prune(
    run: Run = "latest",
    store: Store = None,
    keep: Annotated[int, typer.Option(help="Newest checkpoints to keep.", min=1)] = 1,
    json: Json = False,
) -> None:
    """Remove all but the newest checkpoints; the newest good one always stays."""
    from agnews_cli.cli.output import Output
    from agnews_cli.workflows.saved import pruned

    out = Output(json=json)
    gone = pruned(run, store, keep=keep)
    out.result(list(gone))
    out.screen(f"Removed {len(gone)} checkpoint{'' if len(gone) == 1 else 's'}.", *gone)
