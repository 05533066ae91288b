"""`agnews auto`."""

from typing import Annotated

from typer import Option

from agnews_cli.cli.asked import Asked
from agnews_cli.cli.config import Config
from agnews_cli.cli.manual import examples
from agnews_cli.cli.options import Json, Quiet
from agnews_cli.core.run.request import OUTPUT


@examples(
    ("agnews auto", "AG News, or the sample: see it work"),
    ("agnews auto reviews.csv", "your table; columns are found"),
    ("agnews auto reviews.csv --budget 45m", "the best model in 45 minutes"),
    ("agnews auto reviews.csv --dry-run", "what it would do, and why"),
)
def auto(
    asked: Asked,
    config: Config = None,
    dry_run: Annotated[
        bool, Option("--dry-run", help="Show the plan; train nothing.", rich_help_panel=OUTPUT)
    ] = False,
    yes: Annotated[
        bool,
        Option("--yes", "-y", help="Never ask (auto asks nothing).", rich_help_panel=OUTPUT),
    ] = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Find out what this machine is, choose, train, evaluate: one command to a usable model."""
    from agnews_cli.cli import show
    from agnews_cli.cli.output import Output
    from agnews_cli.workflows.train.auto import prepare

    out, request = Output(json=json, quiet=quiet), asked.request(is_rehearsal=dry_run)
    with out.progress(beside=True) as progress:
        plan = prepare(request, show=progress.event)
    show.carried_out(out, plan, is_rehearsal=dry_run)
