"""`agnews ensemble`."""

from typing import Annotated

from typer import Argument, Option

from agnews_cli.cli.asked import AskedJoin
from agnews_cli.cli.completion import combiners, runs
from agnews_cli.cli.manual import examples
from agnews_cli.cli.options import Json, Quiet
from agnews_cli.core.run.request import DATA, MODEL, OUTPUT


@examples(
    ("agnews ensemble minilm-57391b11fb linear-0a1b2c3d4e", "joined as is best"),
    ("agnews ensemble RUN RUN --how stack,by=logistic", "a model over them"),
    ("agnews ensemble RUN ./a-classifier", "one from elsewhere"),
    ("agnews ensemble RUN --validation a.csv --test b.csv", "what others say"),
)
def ensemble(
    run: Annotated[
        list[str],
        Argument(
            help="Finished runs on the same data (ids, their beginnings, or latest), and folders "
            "of classifiers in Hugging Face form, which are asked about these data.",
            metavar="RUN|FOLDER",
            autocompletion=runs,
        ),
    ],
    *,
    how: Annotated[
        str,
        Option(
            help="How they become one, and its fields: greedy, or stack,by=logistic; see "
            "docs/combiners.md.",
            metavar="KIND[,FIELD=VALUE]",
            rich_help_panel=MODEL,
            autocompletion=combiners,
        ),
    ] = "auto",
    validation: Annotated[
        list[str] | None,
        Option(
            help="One member more: a table of its probabilities (text, p_CLASS …) on the rows that "
            "validate, or on more. Repeatable.",
            metavar="FILE",
            rich_help_panel=DATA,
        ),
    ] = None,
    test: Annotated[
        list[str] | None,
        Option(
            help="The same of the test rows, once for each --validation, in that order.",
            metavar="FILE",
            rich_help_panel=DATA,
        ),
    ] = None,
    max_members: Annotated[
        int | None,
        Option(
            help="More members than this need --justify. [10]",
            metavar="N",
            rich_help_panel=MODEL,
        ),
    ] = None,
    max_q: Annotated[
        float | None,
        Option(
            help="Two members whose being right has a higher Yule's Q are a finding. [0.7]",
            metavar="Q",
            rich_help_panel=MODEL,
        ),
    ] = None,
    max_correlation: Annotated[
        float | None,
        Option(
            help="Or whose errors have a higher correlation. [0.85]",
            metavar="R",
            rich_help_panel=MODEL,
        ),
    ] = None,
    name: Annotated[
        str, Option(help="What the new run is called.", metavar="NAME", rich_help_panel=MODEL)
    ] = "ensemble",
    asked: AskedJoin,
    dry_run: Annotated[
        bool, Option("--dry-run", help="Show the plan; combine nothing.", rich_help_panel=OUTPUT)
    ] = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Make one model of finished ones on the same data: nothing is trained.

    What they said of the rows that validated them decides how they are joined; the result is a run
    like any other, compared with each of them on the test rows.
    """
    from agnews_cli.cli import show
    from agnews_cli.cli.output import Output
    from agnews_cli.core.run import combiner_words
    from agnews_cli.workflows.train import finished

    out = Output(json=json, quiet=quiet)
    files = validation or (), test or ()
    limits = finished.limits(members=max_members, q=max_q, correlation=max_correlation)
    wanted = finished.EnsembleRequest(run, *files, combiner_words.read(how), name, limits)
    with out.progress(beside=True) as progress:
        plan = finished.prepare(wanted, asked.request(is_rehearsal=dry_run), show=progress.event)
    show.carried_out(out, plan, is_rehearsal=dry_run)
