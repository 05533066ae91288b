"""`agnews fit`."""

from typing import Annotated

from typer import Argument, Exit, Option

from agnews_cli.cli import completion
from agnews_cli.cli.manual import examples

_EXIT = {True: 0, False: 69}
"""Whether it fits."""


@examples(
    ("agnews fit deberta-v3-base", "here, trained whole"),
    ("agnews fit llama-3-8b --method qlora --on kaggle", "on each of its cards"),
    ("agnews fit roberta-large --on 8GB --batch 32", "on a card of that size"),
)
def fit(
    model: Annotated[str, Argument(help="Name or hub id.", autocompletion=completion.base_models)],
    method: Annotated[
        str | None,
        Option(help="full, lora, qlora, … [full for encoders, else lora]", metavar="METHOD"),
    ] = None,
    on: Annotated[
        str | None,
        Option(
            help="kaggle, colab, T4, or a size such as 16GB. [this machine]",
            metavar="PLACE",
            autocompletion=completion.places,
        ),
    ] = None,
    batch: Annotated[int, Option(help="Texts in a pass on one device.", min=1, max=10**6)] = 16,
    length: Annotated[int, Option(help="Tokens of each text.", min=1, max=10**6)] = 128,
    precision: Annotated[str, Option(help="auto, fp32, fp16 or bf16.", metavar="NAME")] = "auto",
    checkpointing: Annotated[
        bool, Option("--checkpointing", help="Activations are computed twice.")
    ] = False,
    json: Annotated[bool, Option("--json", help="One JSON object.")] = False,
) -> None:
    """Whether training a model fits a machine's memory, and with which batch."""
    from agnews_cli.cli import fitted
    from agnews_cli.cli.output import Output
    from agnews_cli.workflows.planning.fit import FitAsked, look

    out = Output(json=json)
    found = look(FitAsked(model, method, on, batch, length, precision, checkpointing))
    fitted.show(out, found)
    out.result(fitted.as_json(found))
    raise Exit(_EXIT[found.fits])
