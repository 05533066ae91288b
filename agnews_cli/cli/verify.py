"""`agnews verify-resume`."""

from typing import Annotated

import typer
from typer import Option

from agnews_cli.cli.completion import presets
from agnews_cli.cli.manual import examples


@examples(
    ("agnews verify-resume", "some minutes on a CPU"),
    ("agnews verify-resume --rows 64 --kills 1", "the shortest proof"),
)
def verify_resume(
    preset: Annotated[
        str, Option(help="Preset to try.", metavar="PRESET", autocompletion=presets)
    ] = "minilm",
    rows: Annotated[int, Option(help="Training rows of the built-in sample.", min=32)] = 96,
    kills: Annotated[int, Option(help="How often the run is killed.", min=1, max=20)] = 2,
    seed: Annotated[int, Option(help="Seed of the run and of the moments.", min=0)] = 0,
    json: Annotated[bool, Option("--json", help="One JSON object on standard output.")] = False,
) -> None:
    """Prove here that a run killed at random and resumed equals an undisturbed one, bit for bit."""
    from agnews_cli.cli.output import Output
    from agnews_cli.core.text import duration
    from agnews_cli.workflows.machine import verify

    out = Output(json=json)
    found = verify.verify_resume(preset=preset, rows=rows, kills=kills, seed=seed, say=out.say)
    out.result(found.as_json())
    where = ", ".join(map(str, found.kills))
    if found.difference is None:
        out.screen(
            f"Exact: {found.steps} steps, killed after {where}, {found.steps_redone} steps done "
            f"twice; every loss, the weights and the predictions are the same, bit for bit "
            f"({duration.show(found.seconds)})."
        )
        return
    out.screen(f"Not exact: {found.difference} (killed after {where}).")
    raise typer.Exit(1)
