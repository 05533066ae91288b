"""`--config FILE`: options from a request's file; those typed beside it win."""

from pathlib import Path
from typing import Annotated

import typer


def _take(context: typer.Context, path: Path | None) -> Path | None:
    """Make the file's values this command's defaults, before its other options are read."""
    if path is not None and not context.resilient_parsing:
        from agnews_cli.store.settings import requests

        asked = requests.load(path)
        names = {name: o.name for o in context.command.params for name in o.opts}
        context.default_map = {
            str(names["--" + key.replace("_", "-")]): value for key, value in asked.items()
        }
    return path


Config = Annotated[
    Path | None,
    typer.Option(
        "--config",
        help="Options from a file, as `agnews wizard` saves it; those typed here win.",
        is_eager=True,
        callback=_take,
    ),
]
