"""`agnews advise`."""

from typing import Annotated

from typer import Option

from agnews_cli.cli.asked import AskedAdvice
from agnews_cli.cli.manual import examples
from agnews_cli.cli.options import Json, Quiet


@examples(
    ("agnews advise reviews.csv", "what to do first, and with what"),
    ("agnews advise reviews.csv --quick", "without measuring the texts"),
    ("agnews advise reviews.csv --json", "for programs"),
)
def advise(
    asked: AskedAdvice,
    quick: Annotated[
        bool, Option("--quick", help="Measure nothing, which takes up to two minutes.")
    ] = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """What to do with these data, here: rows, labels, model, method, and why."""
    from agnews_cli.cli import advised
    from agnews_cli.cli.output import Output
    from agnews_cli.workflows.advice.advise import look

    out = Output(json=json, quiet=quiet)
    found = look(asked.wish(), is_quick=quick, say=out.say)
    out.result(found.as_json())
    advised.show(out, found)
