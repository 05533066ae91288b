"""`agnews wizard`."""

from __future__ import annotations

import shlex
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Argument, Option

from agnews_cli.cli.manual import examples
from agnews_cli.errors import NoTerminal

if TYPE_CHECKING:
    from agnews_cli.cli.output import Output
    from agnews_cli.workflows.elsewhere.notebook import NotebookOrder
    from agnews_cli.workflows.train.scene import Request
    from agnews_cli.workflows.wizard.questions import Way

DEFAULT_FILE = Path("agnews-request.yaml")
FLAGS = (
    "--goal, --data (--text-column, --label-column), --preset, --budget or --session-hours, "
    "--store; agnews auto --help has them all"
)


@examples(
    ("agnews wizard", "asks, and proposes what it finds"),
    ("agnews wizard reviews.csv", "the same, for these data"),
    ("agnews wizard --save mine.yaml", "save the answers there"),
)
def wizard(
    data: Annotated[
        str | None, Argument(help="The data, as for auto; then they are not asked for.")
    ] = None,
    save: Annotated[
        Path | None,
        Option(help="A new file for the answers. [agnews-request.yaml]", metavar="FILE"),
    ] = None,
) -> None:
    """Ask what `agnews auto` would be told, then begin, or save it for later. Quitting exits 0."""
    from agnews_cli.cli import prompts
    from agnews_cli.cli.output import Output
    from agnews_cli.store.settings import requests

    out = Output()
    why_not = prompts.why_not(out.sink)
    file = requests.unused(DEFAULT_FILE) if save is None else save
    requests.require_new(file)
    if why_not is not None:
        raise _without_questions(why_not, _walk(file, data, may_ask_hub=False))
    out.say("Looking at this machine, at this folder and for the hub …")
    walk = _ask_all(_walk(file, data, may_ask_hub=True))
    if walk is None:
        out.say("Nothing was begun and nothing was saved.")
        return
    requests.save(file, walk.keys())
    _show(out, walk)
    if walk.ready_notebook is not None:
        _write(out, walk.ready_notebook)
    if walk.begins:
        _begin(out, walk.request())


def _walk(file: Path, data: str | None, *, may_ask_hub: bool) -> Way:
    from agnews_cli.workflows.wizard.questions import Way
    from agnews_cli.workflows.wizard.surroundings import look_around

    walk = Way(look_around(str(file), may_ask_hub=may_ask_hub))
    return walk if data is None else walk.with_data(data)


def _without_questions(why: str, walk: Way) -> NoTerminal:
    """The error that names the command with every proposed answer, and the flags."""
    while (question := walk.question()) is not None and question.takes(question.default):
        walk = walk.answered(question.default)
    return NoTerminal(why=why, command=walk.command(), flags=FLAGS)


def _ask_all(walk: Way) -> Way | None:
    """Until everything is answered; None where the user quits."""
    from agnews_cli.cli import prompts

    while (question := walk.question()) is not None:
        so_far = " · ".join(title for _, title in walk.said())
        answer = prompts.ask(question, so_far=so_far, is_first=not walk.answers)
        if answer is prompts.Move.QUIT:
            return None
        walk = walk.back() if answer is prompts.Move.BACK else walk.answered(str(answer))
    return walk


def _show(out: Output, walk: Way) -> None:
    """What was asked for, the same as a command line, and where it is saved."""
    from agnews_cli.cli import screens

    out.screen(
        screens.key_values(walk.said()),
        "",
        "The same without questions:",
        f"  {walk.command()}",
        f"Saved in {walk.seen.file}; replay it:",
        f"  {shlex.join(('agnews', 'auto', '--config', walk.seen.file))}",
    )


def _write(out: Output, order: NotebookOrder) -> None:
    """The notebook that trains with the answers on another machine, and what to do with it."""
    from agnews_cli.workflows.elsewhere.notebook import next_steps, write

    for written in write(order, force=False):
        out.screen("", f"Written: {written}", *next_steps(order))


def _begin(out: Output, request: Request) -> None:
    """As `agnews auto` does; its time counts from now, not from the first question."""
    from agnews_cli.cli import show
    from agnews_cli.workflows.train.auto import prepare

    plan = prepare(replace(request, started_monotonic_s=time.monotonic()))
    show.carried_out(out, plan, is_rehearsal=False)
