"""`agnews runs`."""

from pathlib import Path
from typing import Annotated

from typer import Context, Option, Typer

from agnews_cli.cli.manual import Command, Group, examples
from agnews_cli.cli.options import Folder, Json, Run

_MOST_SHOWN, _MOST_NAMED = 100, 3
Leaders = Annotated[
    bool,
    Option("--leaderboard", help="Finished runs on the same test rows, the best first, tested."),
]

app = Typer(
    cls=Group,
    help="List the runs in a store, the newest first; say what became of one.",
    rich_markup_mode=None,
)


@app.callback(invoke_without_command=True)
@examples(
    ("agnews runs", "in ./agnews-runs"),
    ("agnews runs show", "the newest: model, figures, use"),
    ("agnews runs --leaderboard", "the best first, on the same test rows"),
    ("agnews runs --store my-runs --json", "elsewhere, for a program"),
)
def runs(
    context: Context, leaderboard: Leaders = False, store: Folder = None, json: Json = False
) -> None:
    """List the runs in a store, the newest first; `agnews runs show` answers for one of them."""
    if context.invoked_subcommand is not None:
        return
    listed(store, json=json) if not leaderboard else leaders(store, json=json)


def leaders(store: Path | None, *, json: bool) -> None:
    """All finished runs on the same test rows, the best first."""
    from agnews_cli.cli.leaders import screen
    from agnews_cli.cli.output import Output
    from agnews_cli.workflows.runs.leaderboard import leaderboard

    out = Output(json=json)
    found = leaderboard(store)
    out.result(found.as_json())
    out.screen(*screen(found))


def listed(store: Path | None, *, json: bool) -> None:
    """The newest first."""
    from agnews_cli.cli.output import Output
    from agnews_cli.workflows.runs.history import newest, where

    out = Output(json=json)
    found, older, damaged = newest(store, None if json else _MOST_SHOWN)
    out.result([line.as_json() for line in found])
    if damaged:
        names = ", ".join(damaged[:_MOST_NAMED]) + (" and others" * (len(damaged) > _MOST_NAMED))
        out.warn(f"Passed over, for created.json is damaged in it: {names}")
    if not found:
        out.screen(f"No runs in {where(store)}. Next: agnews auto, or name another folder: --store")
        return
    rows = [(r.run, r.state, r.accuracy_text, r.created) for r in found]
    out.table(("run", "state", "test accuracy", "begun"), rows)
    if older:
        out.screen(f"{older:,} older runs are not shown; --json lists all")


@app.command("show", cls=Command)
@examples(
    ("agnews runs show", "the newest run"),
    ("agnews runs show minilm-57391b11fb --json", "one of them, for a program"),
)
def show(run: Run = "latest", store: Folder = None, json: Json = False) -> None:
    """Which model and why, how good, how long, where, how to use it: of a finished run."""
    from agnews_cli.cli.output import Output
    from agnews_cli.cli.show import beside, summary
    from agnews_cli.store.run.runs import RunFolder
    from agnews_cli.workflows.train.summary import of_run

    out = Output(json=json)
    found = of_run(run, store)
    out.result(found.as_json())
    if not out.is_json:
        beside(out, RunFolder(found.folder))
    summary(out, found)
