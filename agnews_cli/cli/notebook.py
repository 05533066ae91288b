"""`agnews notebook`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

from typer import Argument, Context, Option


class Place(StrEnum):
    """Where the notebook will run."""

    colab = "colab"
    kaggle = "kaggle"


def notebook(
    context: Context,
    place: Annotated[Place, Argument(help="Where it will run.")],
    output: Annotated[
        Path | None, Option("--output", "-o", help="File to write. [agnews-PLACE.ipynb]")
    ] = None,
    kaggle_user: Annotated[
        str | None, Option(help="Also write kernel-metadata.json, for `kaggle kernels push`.")
    ] = None,
    force: Annotated[bool, Option("--force", help="Write over a file that is there.")] = False,
) -> None:
    """Write a ready notebook: install, store, train, result. It can be run again at any time.

    Every option of `agnews auto` may follow, such as --data, --text-column or --preset: the
    notebook trains with it.
    """
    from agnews_cli.cli.output import Output
    from agnews_cli.workflows.notebook import Wish, write

    path = output or Path(f"agnews-{place.value}.ipynb")
    preset = _parsed(context).get("preset")
    named = preset if isinstance(preset, str) else None
    wish = Wish(place.value, path, named, tuple(context.args), kaggle_user)
    out = Output()
    for written in write(wish, force=force):
        out.say(f"written: {written}")


notebook.context_settings = {  # type: ignore[attr-defined]
    "allow_extra_args": True,
    "ignore_unknown_options": True,
}


def _parsed(context: Context) -> dict[str, object]:
    """What `agnews auto` makes of the options that follow; those it does not know are refused."""
    from agnews_cli.cli.auto import auto
    from agnews_cli.cli.lazy_group import command

    with command("notebook", auto).make_context("agnews notebook", list(context.args)) as parsed:
        return dict(parsed.params)
