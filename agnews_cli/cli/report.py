"""`agnews report`."""

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from agnews_cli.cli.completion import runs
from agnews_cli.cli.manual import examples
from agnews_cli.cli.options import Folder, Json, Quiet
from agnews_cli.core.run.request import OUTPUT


@examples(
    ("agnews report", "of the newest run: one HTML file"),
    ("agnews report RUN RUN --out both.html", "side by side, tested"),
    ("agnews report latest --form md", "the same as Markdown"),
    ("agnews report --robustness --look", "what takes minutes too"),
)
def report(
    run: Annotated[
        list[str] | None,
        Argument(
            help="Runs: ids, their beginnings, latest, or folders. [latest]", autocompletion=runs
        ),
    ] = None,
    form: Annotated[
        str | None,
        Option(
            help="html, md or json. [as the file is called, else html]",
            metavar="FORM",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        Option(help="The file. [RUN-report.html]", metavar="FILE", rich_help_panel=OUTPUT),
    ] = None,
    thorough: Annotated[
        bool,
        Option(
            "--thorough",
            help="Look for near repeats and label errors in the data too; takes minutes.",
        ),
    ] = False,
    robustness: Annotated[
        bool,
        Option("--robustness", help="Open the model and ask it about changed texts too."),
    ] = False,
    look: Annotated[
        bool,
        Option("--look", help="Open the model and show what of a few texts it looks at."),
    ] = False,
    store: Folder = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """All that is known of runs, in one file that opens offline.

    Figures, curves, calibration, odd rows, sessions, leaks, and a score of risk with its reasons.
    """
    from agnews_cli.cli.output import Output
    from agnews_cli.workflows.report import written

    shown = Output(json=json, quiet=quiet)
    asked = written.asked(run or ["latest"], form, out, is_json=json)
    found = written.write(
        asked, store, is_thorough=thorough, changes_texts=robustness, looks_inside=look,
        say=shown.say,
    )  # fmt: skip
    shown.result(found.report.as_json())
    shown.screen(*found.lines())
