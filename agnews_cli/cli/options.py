"""Options that several commands take, each declared once. Those of `auto` are in `asked`."""

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from agnews_cli.cli.completion import runs
from agnews_cli.core.run.request import OUTPUT, STORES

Folder = Annotated[
    Path | None,
    Option("--store", help="Folder for runs. [./agnews-runs]", rich_help_panel=STORES),
]
Run = Annotated[str, Argument(help="Run id, its beginning, or latest.", autocompletion=runs)]
Json = Annotated[
    bool, Option("--json", help="One JSON object on standard output.", rich_help_panel=OUTPUT)
]
Quiet = Annotated[
    bool, Option("--quiet", "-q", help="Only results and errors.", rich_help_panel=OUTPUT)
]
