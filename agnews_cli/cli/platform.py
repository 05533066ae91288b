"""`agnews platform`."""

from typing import Annotated

import typer

from agnews_cli.cli.manual import examples


@examples(
    ("agnews platform", "one line"),
    ("agnews platform --explain", "why, and how sure"),
    ("agnews platform --probe", "one real operation on each device"),
)
def platform(
    explain: Annotated[bool, typer.Option("--explain", help="Show the evidence.")] = False,
    network: Annotated[
        bool, typer.Option("--network", help="Ask whether the hub answers (up to 5 s).")
    ] = False,
    probe: Annotated[
        bool, typer.Option("--probe", help="Prove the accelerator in a child process (up to 60 s).")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Say what machine this is."""
    from agnews_cli.cli import machine
    from agnews_cli.cli.output import Output
    from agnews_cli.host.detect import detect

    out = Output(json=json)
    found = detect(ask_network=network)
    verdict = machine.probed(out, found) if probe else None
    out.result(machine.as_json(found, verdict))
    machine.platform(out, found, is_explained=explain)
    if verdict is not None:
        machine.verdict(out, verdict)
