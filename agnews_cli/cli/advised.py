"""How advice looks on the screen."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agnews_cli.cli.output import Output
    from agnews_cli.workflows.advice.advise import Advised


def show(out: Output, found: Advised) -> None:
    """What to do as a table, then the reason, the source and the command of each."""
    if out.is_json:
        return
    out.table(("about", "advice"), [(one.topic, one.text) for one in found.advice])
    for one in found.advice:
        reason = one.reason if one.reason.endswith(".") else f"{one.reason}."
        out.screen("", f"{one.topic}: {reason}", f"Source: {one.source}.", one.command)
