"""`agnews doctor`."""

from pathlib import Path
from typing import Annotated

import typer

from agnews_cli.cli.manual import examples


@examples(
    ("agnews doctor", "all checks, with the accelerator"),
    ("agnews doctor --quick", "without hub, clock and accelerator"),
)
def doctor(
    store: Annotated[Path | None, typer.Option(help="Folder for runs. [./agnews-runs]")] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Leave out what takes seconds: hub, clock, accelerator.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Check everything that training needs, and say what to mend; exit code 78 if anything must."""
    from agnews_cli.cli import machine
    from agnews_cli.cli.output import Output
    from agnews_cli.workflows.machine.doctor import examine

    out = Output(json=json)
    out.say("Checking" + (" …" if quick else ", with a probe of the accelerator (up to 60 s) …"))
    found = examine(store, is_quick=quick)
    out.result(found.as_json())
    machine.findings(out, found.findings)
    if not found.is_healthy:
        raise typer.Exit(78)
