"""`agnews resume`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from typer import Argument, Option

from agnews_cli.cli.asked import AskedSession
from agnews_cli.cli.completion import unfinished
from agnews_cli.cli.manual import examples
from agnews_cli.cli.options import Json, Quiet
from agnews_cli.core.run.request import DATA

if TYPE_CHECKING:
    from agnews_cli.workflows.train.resume import Unfinished

_MOST_NAMED = 3


@examples(
    ("agnews resume", "the newest unfinished run"),
    ("agnews resume --session-hours 8", "pause in time again"),
    ("agnews resume --store hf://me/runs", "also on an empty machine"),
)
def resume(
    run: Annotated[
        str | None,
        Argument(
            help="Run id, or its beginning. [the newest unfinished run]",
            autocompletion=unfinished,
        ),
    ] = None,
    *,
    data: Annotated[
        str | None,
        Option(
            help="Where the data lie now, if they were moved.",
            metavar="DATA",
            rich_help_panel=DATA,
        ),
    ] = None,
    asked: AskedSession,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Go on with an unfinished run, exactly where its newest good checkpoint stands."""
    from agnews_cli.cli import show
    from agnews_cli.cli.output import Output
    from agnews_cli.workflows.train.resume import prepare_again

    out = Output(json=json, quiet=quiet)
    plan, others = prepare_again(run, asked.request(), data=data)
    if others:
        out.say(_too(others))
    show.carried_out(out, plan, is_rehearsal=False)


def _too(others: tuple[Unfinished, ...]) -> str:
    named = "; ".join(f"{other.run} ({other.where})" for other in others[:_MOST_NAMED])
    more = len(others) - _MOST_NAMED
    return f"Unfinished too: {named}" + (f"; and {more:,} more: agnews runs" if more > 0 else "")
