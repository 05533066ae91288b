"""`agnews status`."""

from __future__ import annotations

from agnews_cli.cli.manual import examples
from agnews_cli.cli.options import Folder, Json, Run


@examples(
    ("agnews status", "the newest run"),
    ("agnews status minilm-4f", "a run, by the beginning of its id"),
)
def status(
    run: Run = "latest",
    store: Folder = None,
    json: Json = False,
) -> None:
    """Show how a run stands, and what of it is saved where, and how surely."""
    from agnews_cli.cli import show
    from agnews_cli.cli.output import Output
    from agnews_cli.workflows.runs.status import status

    out = Output(json=json)
    found = status(run, store)
    out.result(found.as_json())
    show.status(out, found)
