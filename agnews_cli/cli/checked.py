"""How checked data look on the screen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agnews_cli.cli import machine, screens

if TYPE_CHECKING:
    from agnews_cli.cli.output import Output
    from agnews_cli.workflows.check.check import DataCheck

_SUSPECTS = 5
_TEXT = 60


def show(out: Output, found: DataCheck) -> None:
    """Findings, the likeliest label errors, and the copy where one was written."""
    machine.findings(out, found.findings)
    suspects = found.facts.suspects
    if suspects is not None and suspects.rows:
        labels = found.dataset.labels
        rows = [
            (
                f"{one.place.row + 1:,}",
                screens.one_line(labels[one.place.label], 20),
                screens.one_line(labels[one.likely], 20),
                screens.percent(one.likely_probability),
                screens.one_line(one.place.text, _TEXT),
            )
            for one in suspects.rows[:_SUSPECTS]
        ]
        heads = ("train row", "label", "reads like", "sure", "text")
        out.screen("")
        out.table(heads, rows, title="Likeliest label errors")
    if found.copy is not None:
        kept = ", ".join(f"{split} {rows:,}" for split, rows in found.copy.kept.items())
        removed = sum(found.copy.removed.values())
        out.screen(
            "",
            f"Written to {found.copy.folder}: {kept} rows; {removed:,} left out, each with its "
            "reason in removed.csv",
        )
