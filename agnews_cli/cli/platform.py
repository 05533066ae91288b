"""`agnews platform`."""

from __future__ import annotations

from typing import Annotated

import typer


def platform(
    explain: Annotated[bool, typer.Option("--explain", help="Show the evidence.")] = False,
    json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Say what machine this is."""
    from dataclasses import asdict

    from agnews_cli.cli.output import Output
    from agnews_cli.core.platform import describe
    from agnews_cli.host.detect import detect

    out = Output(json=json)
    found = detect()
    facts = asdict(found)
    out.result({"schema": "agnews.platform/1", "platform": facts.pop("name"), **facts})
    out.screen(describe(found))
    if explain:
        rows = [(e.subject, e.finding, e.source) for e in found.evidence]
        out.table(("about", "found", "known from"), rows)
        out.screen(*found.notes)
