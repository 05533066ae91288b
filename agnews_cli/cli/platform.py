"""`agnews platform`."""

from __future__ import annotations

from typing import Annotated

import typer


def platform(
    explain: Annotated[bool, typer.Option("--explain", help="Show the evidence.")] = False,
    network: Annotated[
        bool, typer.Option("--network", help="Ask whether the hub answers (up to 5 s).")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Say what machine this is."""
    from dataclasses import asdict

    from agnews_cli.cli.output import Output
    from agnews_cli.core.platform import answers, describe
    from agnews_cli.host.detect import detect

    out = Output(json=json)
    found = detect(ask_network=network)
    facts = asdict(found)
    facts["confidences"] = dict(found.confidences)
    out.result({"schema": "agnews.platform/1", "platform": facts.pop("name"), **facts})
    out.screen(describe(found))
    if explain:
        out.table(("about", "answer", "sure"), answers(found))
        rows = [(e.subject, e.finding, e.source, e.confidence) for e in found.evidence]
        out.table(("about", "found", "known from", "sure"), rows)
        out.screen(*found.notes)
