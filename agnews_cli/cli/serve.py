"""`agnews serve`."""

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from agnews_cli.cli.completion import runs
from agnews_cli.cli.manual import examples
from agnews_cli.cli.options import Folder, Json, Quiet

_LIMITS = "Limits"


@examples(
    ("agnews serve latest", "for this machine alone"),
    ("agnews serve RUN --host 0.0.0.0 --token-file FILE", "for others"),
    ("agnews serve RUN --port 0 --json", "at any free port"),
)
def serve(
    run: Annotated[
        str,
        Argument(
            help="Run id, the beginning of one, `latest`, a run's folder, or a delivered model's.",
            autocompletion=runs,
        ),
    ],
    host: Annotated[
        str,
        Option(help="Address to listen at; 0.0.0.0: every one of this machine.", metavar="HOST"),
    ] = "127.0.0.1",
    port: Annotated[int, Option(help="Port; 0: any free one.", min=0, max=65535)] = 8000,
    token_file: Annotated[
        Path | None,
        Option(
            help="File with the token that clients must send. [AGNEWS_SERVE_TOKEN]", metavar="FILE"
        ),
    ] = None,
    rate: Annotated[
        float | None,
        Option(help="Requests a second that a client may send.", min=0.01, rich_help_panel=_LIMITS),
    ] = None,
    batch: Annotated[
        int, Option(help="Texts in one /batch.", min=1, max=100_000, rich_help_panel=_LIMITS)
    ] = 1_000,
    body_mb: Annotated[
        float, Option(help="Megabytes in a body.", min=0.001, max=1_000, rich_help_panel=_LIMITS)
    ] = 4.0,
    wait_ms: Annotated[
        float,
        Option(
            help="Milliseconds that a text waits for company, where there was some.",
            min=0,
            max=1_000,
            rich_help_panel=_LIMITS,
        ),
    ] = 2.0,
    timeout: Annotated[
        float,
        Option(help="Seconds to an answer, at most.", min=0.1, max=3600, rich_help_panel=_LIMITS),
    ] = 30.0,
    store: Folder = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Answer over HTTP with a finished run's model: texts in, labels and probabilities out.

    It ends by Ctrl-C or SIGTERM, when what has come is answered.
    """
    from agnews_cli.cli.output import Output
    from agnews_cli.core.serving.limits import asked
    from agnews_cli.workflows.serving import serve as work

    screen = Output(json=json, quiet=quiet)
    limits = asked(rate, batch, body_mb, wait_ms / 1000, timeout)
    plan = work.prepare(work.ServeRequest(run, host, port, token_file, limits, store))
    for warning in plan.warnings:
        screen.warn(warning)

    def ready() -> None:
        screen.result(plan.as_json())
        screen.screen(*plan.lines())

    work.carry_out(plan, ready, screen.warn)
