"""`agnews compare`."""

from typing import Annotated

from typer import Argument, Option

from agnews_cli.cli.completion import runs, splits
from agnews_cli.cli.manual import examples
from agnews_cli.cli.options import Folder, Json


@examples(
    ("agnews compare minilm-57391b11fb latest", "is it chance?"),
    ("agnews compare RUN RUN RUN --against latest", "each with the newest"),
    ("agnews compare RUN RUN --on validation", "no look at test rows"),
)
def compare(
    run: Annotated[
        list[str],
        Argument(
            help="Finished runs: ids, their beginnings, latest, or folders.", autocompletion=runs
        ),
    ],
    on: Annotated[
        str,
        Option(
            help="On which rows: test or validation.",
            metavar="test|validation",
            autocompletion=splits,
        ),
    ] = "test",
    against: Annotated[
        str | None,
        Option(
            help="The run that each other is compared with. [the best]",
            metavar="RUN",
            autocompletion=runs,
        ),
    ] = None,
    store: Folder = None,
    json: Json = False,
) -> None:
    """Finished runs on the same rows: figures of each, and whether they differ by chance.

    Differences are tested in pairs (McNemar, bootstrap), corrected for their number by Holm.
    """
    from agnews_cli.cli.comparison import screen
    from agnews_cli.cli.output import Output
    from agnews_cli.workflows.runs import compare as workflow

    out = Output(json=json)
    found = workflow.compare(run, store, on=on, against=against)
    out.result(found.as_json())
    out.screen(*screen(found))
