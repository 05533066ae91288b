"""`agnews check`."""

from pathlib import Path
from typing import Annotated

import typer
from typer import Option

from agnews_cli.cli.asked import AskedRows
from agnews_cli.cli.manual import examples
from agnews_cli.cli.options import Json, Quiet
from agnews_cli.core.run.request import OUTPUT


@examples(
    ("agnews check reviews.csv", "leaks, repeats, labels, splits"),
    ("agnews check reviews.csv --quick", "only what takes seconds"),
    ("agnews check reviews.csv --fix cleaned", "a cleaned copy, and why"),
    ("agnews auto cleaned", "train on that copy"),
)
def check(
    asked: AskedRows,
    quick: Annotated[
        bool,
        Option("--quick", help="Leave out near repeats and label errors, which take minutes."),
    ] = False,
    semantic: Annotated[
        bool,
        Option("--semantic", help="Look for other words of the same meaning too; needs a model."),
    ] = False,
    fix: Annotated[
        Path | None,
        Option(
            "--fix",
            help="New folder for a cleaned copy and a list of what it leaves out.",
            metavar="DIR",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Look at data before training: leaks, repeats, labels, splits.

    Exit code 3: a finding makes figures untrue, and should be mended before training.
    """
    from agnews_cli.cli import checked
    from agnews_cli.cli.output import Output
    from agnews_cli.workflows.check.check import check as look

    out = Output(json=json, quiet=quiet)
    wish = asked.wish()
    found = look(wish, is_quick=quick, asks_meanings=semantic, fix=fix, say=out.say)
    out.result(found.as_json())
    checked.show(out, found)
    if not found.is_true:
        raise typer.Exit(3)
