"""`agnews app`."""

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from agnews_cli.cli.completion import runs
from agnews_cli.cli.manual import examples
from agnews_cli.cli.options import Folder, Json, Quiet


@examples(
    ("agnews app latest", "a page for this machine alone"),
    ("agnews app RUN --space DIR", "a folder that is a Hugging Face Space"),
)
def app(
    run: Annotated[
        str,
        Argument(
            help="Run id, the beginning of one, `latest`, a run's folder, or a delivered model's.",
            autocompletion=runs,
        ),
    ],
    space: Annotated[
        Path | None,
        Option(help="Write a Hugging Face Space into this new folder instead.", metavar="DIR"),
    ] = None,
    host: Annotated[
        str,
        Option(help="Address to listen at; 0.0.0.0: every one of this machine.", metavar="HOST"),
    ] = "127.0.0.1",
    port: Annotated[int, Option(help="Port; 0: any free one.", min=0, max=65535)] = 7860,
    store: Folder = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Show a page on which people ask a finished run's model: text in, probabilities out.

    It also shows what of the text the answer rests on, and labels files. Ctrl-C ends it.
    """
    from agnews_cli.cli.output import Output
    from agnews_cli.workflows.app import app as work
    from agnews_cli.workflows.app import space as spaces

    screen = Output(json=json, quiet=quiet)
    if space is not None:
        written = spaces.write(run, space, store=store)
        screen.screen(*written.lines())
        screen.result(written.as_json())
        return
    plan = work.prepare(work.AppRequest(run, host, port, store))
    for warning in plan.warnings:
        screen.warn(warning)

    def ready() -> None:
        screen.result(plan.as_json())
        screen.screen(*plan.lines())

    work.carry_out(plan, ready)
