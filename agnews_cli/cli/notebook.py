"""`agnews notebook`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

from typer import Argument, Option


class Place(StrEnum):
    """Where the notebook will run."""

    colab = "colab"
    kaggle = "kaggle"


def notebook(
    place: Annotated[Place, Argument(help="Where it will run.")],
    preset: Annotated[str | None, Option(help="Preset name. [the best there]")] = None,
    data: Annotated[
        str | None, Option(help="Data as seen there: a path or hub id. [AG News]")
    ] = None,
    session_hours: Annotated[
        float | None, Option(help="Pause in time to be saved after so many hours.", min=0.01)
    ] = None,
    output: Annotated[
        Path | None, Option("--output", "-o", help="File to write. [agnews-PLACE.ipynb]")
    ] = None,
    kaggle_user: Annotated[
        str | None, Option(help="Also write kernel-metadata.json, for `kaggle kernels push`.")
    ] = None,
    force: Annotated[bool, Option("--force", help="Write over a file that is there.")] = False,
) -> None:
    """Write a ready notebook: install, store, train, result. It can be run again at any time."""
    from agnews_cli.cli.output import Output
    from agnews_cli.workflows.notebook import Wish, write

    path = output or Path(f"agnews-{place.value}.ipynb")
    wish = Wish(place.value, path, preset, data, session_hours, kaggle_user)
    out = Output()
    for written in write(wish, force=force):
        out.say(f"written: {written}")
