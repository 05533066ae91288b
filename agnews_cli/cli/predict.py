"""`agnews predict`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Argument, Option

from agnews_cli.cli.completion import columns, runs
from agnews_cli.cli.manual import examples

if TYPE_CHECKING:
    from agnews_cli.cli.output import Output
    from agnews_cli.workflows.prediction.predict import PredictionPlan, PredictRequest, Report


@examples(
    ('agnews predict latest "a text"', "its label, and how sure"),
    ("agnews predict latest --file in.csv --out out.csv", "every column, then labels"),
    ("cat in.csv | agnews predict latest --file -", "a pipe, CSV out"),
)
def predict(
    run: Annotated[
        str,
        Argument(
            help="Run id, the beginning of one, `latest`, a run's folder, or a delivered model's.",
            autocompletion=runs,
        ),
    ],
    texts: Annotated[
        list[str] | None, Argument(help="Texts to label; `-` reads standard input.")
    ] = None,
    file: Annotated[
        str | None,
        Option(
            help="File with texts: .csv .tsv .jsonl .parquet, .txt (a text a line), or `-`: "
            "standard input.",
            metavar="FILE",
        ),
    ] = None,
    out: Annotated[
        str | None,
        Option(
            help="File to write: every column of --file, then label and p_CLASS; .csv .tsv .jsonl "
            ".parquet by its suffix. [CSV on standard output]",
            metavar="FILE",
        ),
    ] = None,
    text_column: Annotated[
        list[str] | None,
        Option(
            help="Column with the text, once for each of the run's. [as in training]",
            metavar="NAME",
            autocompletion=columns,
        ),
    ] = None,
    no_header: Annotated[
        bool, Option("--no-header", help="The first row of --file is no header but a text.")
    ] = False,
    encoding: Annotated[
        str | None,
        Option(help="Encoding of --file, such as cp1251. [as the bytes say]", metavar="CODEC"),
    ] = None,
    skip_bad_rows: Annotated[
        bool,
        Option("--skip-bad-rows", help="Rows without text stay, with an empty label. [an error]"),
    ] = False,
    like: Annotated[
        Path | None,
        Option(
            help="Write --out in the form of this sample_submission.csv of a competition.",
            metavar="FILE",
        ),
    ] = None,
    id_column: Annotated[
        str | None,
        Option(
            help="With --like: the column of --file with the ids. [as in the sample]",
            metavar="NAME",
        ),
    ] = None,
    store: Annotated[Path | None, Option(help="Folder for runs. [./agnews-runs]")] = None,
    json: Annotated[
        bool,
        Option("--json", help="One JSON array; with --out one object that says what was done."),
    ] = False,
    quiet: Annotated[bool, Option("--quiet", "-q", help="Only results and errors.")] = False,
) -> None:
    """Label texts with a finished run's model; texts as arguments, in a file or by a pipe.

    The file's columns are those of training, and are named; the figures are told where it has the
    run's label column. Rows keep their order and everything they had.
    """
    from agnews_cli.cli.output import Output
    from agnews_cli.host.predictor import stoppable
    from agnews_cli.store.data.texts import AskedTexts
    from agnews_cli.workflows.prediction.predict import PredictRequest

    out = None if out == "-" else out
    asked = AskedTexts(tuple(text_column or ()), False if no_header else None, encoding)
    request = PredictRequest(run, tuple(texts or ()), file, out, asked, skip_bad_rows, store)
    screen = Output(json=json, quiet=quiet, data=request.reads_file or out is not None)
    with stoppable(kept="nothing was written" if out else "not all texts were labelled"):
        if like is not None or id_column is not None:
            _submit(screen, request, like, id_column)
        else:
            _label(screen, request)


def _label(screen: Output, request: PredictRequest) -> None:
    from agnews_cli.core.run.job import ReaderLeft
    from agnews_cli.workflows.prediction import predict as work

    with screen.progress() as progress:
        plan = work.prepare(request, show=progress.event)
    for note in plan.notes:
        screen.say(note)
    for warning in plan.warnings:
        screen.warn(warning)
    if plan.target is None:
        try:
            report = _to_screen(screen, request, plan)
        except ReaderLeft:  # as `| head` does: it has what it wanted
            return
    else:
        with screen.progress() as progress:
            report = work.write(plan, progress.event)
        screen.result({**report.as_json(), "file": str(plan.target.path)})
    _say(screen, report, request.out)


def _to_screen(screen: Output, request: PredictRequest, plan: PredictionPlan) -> Report:
    """Answers on standard output: rows of CSV, one JSON array, or a table for a few texts."""
    from agnews_cli.store.data import answers
    from agnews_cli.workflows.prediction import predict as work

    if screen.is_json:
        writer: answers.Writer = answers.ArrayWriter(
            screen, plan.heading.columns, plan.sheet.texts, plan.model.labels
        )
    elif request.reads_file:
        writer = answers.TextWriter(screen, plan.heading, "csv")
    else:
        writer = _Table(screen)
    # Where the rows themselves are on the screen, a bar between them would be in the way.
    if screen.shows_data:
        report = work.carry_out(plan, writer)
    else:
        with screen.progress() as progress:
            report = work.carry_out(plan, writer, progress.event)
    writer.close()
    screen.flush()
    return report


def _submit(
    screen: Output, request: PredictRequest, like: Path | None, id_column: str | None
) -> None:
    from agnews_cli.workflows.prediction import submission

    with screen.progress() as progress:
        found = submission.on_demand(request, like, id_column, show=progress.event)
    for note in found.notes:
        screen.say(note)
    screen.say(f"{found.rows:,} rows in {found.path}; to submit them:\n  {found.command}")
    screen.result(found.as_json())


class _Table:
    """A few texts, their labels and how sure those are."""

    def __init__(self, screen: Output) -> None:
        self._screen = screen
        self._rows: list[tuple[str, str, str]] = []

    def row(self, values: Sequence[object], label: str, shares: Sequence[float]) -> None:
        share = f"{max(shares):.1%}" if shares else ""
        self._rows.append((label, share, str(values[0])))

    def close(self) -> None:
        self._screen.table(("label", "probability", "text"), self._rows)


def _say(screen: Output, report: Report, out: str | None) -> None:
    """What was done, and how right it was where the file tells."""
    if out is not None:
        labelled = report.rows - report.bad_rows
        screen.say(f"{labelled:,} {'row' if labelled == 1 else 'rows'} labelled in {out}")
    for line in report.lines():
        screen.say(line)
