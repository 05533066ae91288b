"""`agnews runs`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def runs(
    store: Annotated[Path | None, typer.Option(help="Folder for runs. [./agnews-runs]")] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON array.")] = False,
) -> None:
    """List the runs in a store, the newest first."""
    from agnews_cli.cli.output import Output
    from agnews_cli.workflows.history import history

    out = Output(json=json)
    found = history(store)
    out.result([line.as_json() for line in found])
    rows = [(r.run, r.state, r.accuracy_text, r.created) for r in found]
    out.table(("run", "state", "test accuracy", "begun"), rows)
