"""`agnews export`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Argument, Option

from agnews_cli.cli.completion import columns, forms, runs
from agnews_cli.cli.manual import examples
from agnews_cli.cli.options import Folder, Json, Quiet

if TYPE_CHECKING:
    from agnews_cli.cli.output import Output
    from agnews_cli.workflows.prediction.export import ExportedModel


@examples(
    ("agnews export latest --to onnx-int8", "a quarter of the size"),
    ("agnews export latest --to onnx --out mine", "the same answers, to 1e-4"),
    ("agnews predict mine 'a text'", "it answers as a run does"),
)
def export(
    *,
    run: Annotated[
        str,
        Argument(
            help="Run id, the beginning of one, `latest`, a run's folder, or a delivered model's.",
            autocompletion=runs,
        ),
    ],
    to: Annotated[
        str,
        Option(
            help="The form: ONNX in fp32 or INT8, or OpenVINO.",
            metavar="onnx|onnx-int8|openvino",
            autocompletion=forms,
        ),
    ],
    out: Annotated[Path | None, Option(help="New folder. [./RUN-FORM]", metavar="DIR")] = None,
    data: Annotated[
        str | None,
        Option(
            help="File of rows to verify on, with labels where there are some; never test rows. "
            "[those that validated the run]",
            metavar="FILE",
        ),
    ] = None,
    text_column: Annotated[
        list[str] | None,
        Option(
            help="Column of --data with the text, once for each of the run's. [as in training]",
            metavar="NAME",
            autocompletion=columns,
        ),
    ] = None,
    store: Folder = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Write a model in a form that answers without torch, verified on real rows.

    It is refused where a probability differs by more than 1e-4 from the model's, and in INT8 where
    it surely loses more than 0.3 points of accuracy.
    """
    from agnews_cli.cli.output import Output
    from agnews_cli.host.predictor import stoppable
    from agnews_cli.workflows.prediction.export import ExportRequest
    from agnews_cli.workflows.prediction.export import export as work

    screen = Output(json=json, quiet=quiet)
    request = ExportRequest(run, to, out, data, tuple(text_column or ()), store)
    with stoppable(kept="nothing was written"), screen.progress() as progress:
        found = work(request, progress.event)
    screen.result(found.as_json())
    _show(screen, found)


def _show(screen: Output, found: ExportedModel) -> None:
    import shlex

    from agnews_cli.store.disk.space import size

    exported, verified = found.exported, found.exported.verified
    which = "that validated the run" if verified.are == "validation" else "of the file"
    screen.say(
        f"{found.folder}: {exported.form}, {size(exported.size_bytes)} instead of "
        f"{size(exported.was_bytes)}"
    )
    screen.say(
        f"on {verified.rows:,} rows {which}: the largest difference of a probability is "
        f"{verified.most_apart:.1e}, {verified.flips:,} got another class"
    )
    if verified.comparison is not None:
        named = {one.name: one.accuracy.value for one in verified.comparison.models}
        apart = verified.comparison.differences[0].accuracy
        screen.say(
            f"accuracy {named['exported']:.2%}, in fp32 {named['fp32']:.2%}: "
            f"{100 * apart.value:+.2f} points (95%: {100 * apart.low:+.2f} to "
            f"{100 * apart.high:+.2f})"
        )
    for warning in exported.notes:
        screen.warn(warning)
    screen.say(f"use it: agnews predict {shlex.quote(str(found.folder))} 'a text'")
