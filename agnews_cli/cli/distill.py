"""`agnews distill`."""

from typing import Annotated

from typer import Option

from agnews_cli.cli.asked import AskedStudent
from agnews_cli.cli.completion import presets, runs
from agnews_cli.cli.manual import examples
from agnews_cli.cli.options import Json, Quiet
from agnews_cli.core.run.request import MODEL, OUTPUT


@examples(
    ("agnews distill --teacher latest --student minilm", "the newest run"),
    ("agnews distill data.csv --teacher ./model --student minilm", "any model"),
    ("agnews distill --teacher RUN --student minilm --alpha 0.1", "trust it more"),
)
def distill(
    *,
    teacher: Annotated[
        str,
        Option(
            help="Who is learned from: a finished run, the folder of a classifier in Hugging Face "
            "form, or a table of what it says of the training rows (text, p_CLASS …).",
            metavar="RUN|FOLDER|FILE",
            rich_help_panel=MODEL,
            autocompletion=runs,
        ),
    ],
    student: Annotated[
        str,
        Option(
            help="Who learns: a preset of one model.",
            metavar="PRESET",
            rich_help_panel=MODEL,
            autocompletion=presets,
        ),
    ],
    alpha: Annotated[
        float | None,
        Option(
            help="The labels' share of the loss, 0 to 1; the teacher has the rest. [0.3]",
            metavar="SHARE",
            rich_help_panel=MODEL,
        ),
    ] = None,
    temperature: Annotated[
        float | None,
        Option(
            help="What the logits of both are divided by: higher tells more of small ones. [5]",
            metavar="T",
            rich_help_panel=MODEL,
        ),
    ] = None,
    name: Annotated[
        str | None,
        Option(
            help="What the new run is called. [the student's name, and -distilled]",
            metavar="NAME",
            rich_help_panel=MODEL,
        ),
    ] = None,
    asked: AskedStudent,
    dry_run: Annotated[
        bool, Option("--dry-run", help="Show the plan; train nothing.", rich_help_panel=OUTPUT)
    ] = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """A small model learns what a teacher that is there says of the rows, beside their labels.

    The data are the teacher's where it is a run. The result is an ordinary model of one folder.
    """
    from agnews_cli.cli import show
    from agnews_cli.cli.output import Output
    from agnews_cli.workflows.train import taught

    out = Output(json=json, quiet=quiet)
    wanted = taught.DistillRequest(teacher, student, alpha, temperature, name)
    with out.progress(beside=True) as progress:
        plan = taught.prepare(wanted, asked.request(is_rehearsal=dry_run), show=progress.event)
    show.carried_out(out, plan, is_rehearsal=dry_run)
