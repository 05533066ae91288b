"""`agnews notebook`."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from agnews_cli.cli.asked import Asked
from agnews_cli.cli.config import Config
from agnews_cli.cli.manual import examples


class NotebookPlace(StrEnum):
    """Where the notebook will run."""

    colab = "colab"
    kaggle = "kaggle"


@examples(
    ("agnews notebook colab", "writes agnews-colab.ipynb"),
    ("agnews notebook kaggle reviews.csv --budget 2h", "with options of auto"),
    ("agnews notebook kaggle --kaggle-user me", "for kaggle kernels push"),
)
def notebook(
    place: Annotated[NotebookPlace, Argument(help="Where it will run: colab or kaggle.")],
    asked: Asked,
    config: Config = None,
    output: Annotated[
        Path | None,
        Option("--output", "-o", help="File to write. [agnews-PLACE.ipynb]", metavar="FILE"),
    ] = None,
    kaggle_user: Annotated[
        str | None,
        Option(help="Also write kernel-metadata.json, for `kaggle kernels push`.", metavar="NAME"),
    ] = None,
    force: Annotated[bool, Option("--force", help="Write over a file that is there.")] = False,
) -> None:
    """Write a ready notebook: install, store, train, result. It can be run again at any time.

    Every option of `agnews auto` may follow, such as --data, --text-column or --preset: the
    notebook trains with it.
    """
    from agnews_cli.cli.output import Output
    from agnews_cli.workflows.elsewhere.notebook import NotebookOrder, next_steps, write
    from agnews_cli.workflows.train.scene import require_sense

    path, request = output or Path(f"agnews-{place.value}.ipynb"), asked.request()
    require_sense(request)  # raises what `auto` would, now and not in the notebook
    order = NotebookOrder(place.value, path, request.wish.preset, asked.arguments(), kaggle_user)
    out = Output()
    for written in write(order, force=force):
        out.say(f"written: {written}")
    for step in next_steps(order):
        out.say(step)
