"""`agnews checkpoints`: what is saved of a run that is not finished, and whether it is whole."""

from typing import Annotated

import typer

from agnews_cli.cli.completion import stores
from agnews_cli.cli.manual import Command, Group, examples
from agnews_cli.cli.options import Folder, Run

app = typer.Typer(
    no_args_is_help=True, help="What is saved of unfinished runs.", rich_markup_mode=None, cls=Group
)
Stores = Annotated[
    list[str] | None,
    typer.Option(
        "--store",
        help="Folder for runs, and further stores.",
        metavar="STORE",
        autocompletion=stores,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="One JSON array.")]


@app.command("ls", cls=Command)
@examples(
    ("agnews checkpoints ls", "of the newest run"),
    ("agnews checkpoints ls minilm-4f", "of a run, by the beginning of its id"),
)
def ls(run: Run = "latest", store: Folder = None, json: Json = False) -> None:
    """List a run's checkpoints, the newest first, by their manifests."""
    from agnews_cli.cli.output import Output
    from agnews_cli.cli.screens import moment
    from agnews_cli.store.run.runs import size
    from agnews_cli.workflows.sessions.saves import checkpoints, why_none

    out = Output(json=json)
    found = checkpoints(run, store)
    out.result([line.as_json() for line in found])
    if not found:
        out.screen(why_none(run, store))
        return
    rows = [(c.id, c.candidate, str(c.step), size(c.size_bytes), moment(c.made_at)) for c in found]
    out.table(("checkpoint", "model", "step", "size", "saved"), rows)


@app.command("verify", cls=Command)
@examples(
    ("agnews checkpoints verify", "reads every byte"),
)
def verify(run: Run = "latest", store: Folder = None, json: Json = False) -> None:
    """Read every byte of a run's checkpoints; exit code 74: one is damaged."""
    from agnews_cli.cli.output import Output
    from agnews_cli.workflows.sessions.saves import verified, why_none

    out = Output(json=json)
    found = verified(run, store)
    out.result([{"id": id_, "problem": wrong} for id_, wrong in found])
    if not found:
        out.screen(why_none(run, store))
        return
    out.table(("checkpoint", "state"), [(id_, wrong or "whole") for id_, wrong in found])
    if any(wrong for _, wrong in found):
        raise typer.Exit(74)


@app.command("prune", cls=Command)
@examples(
    ("agnews checkpoints prune --keep 2", "keeps the two newest"),
)
def prune(
    run: Run = "latest",
    store: Folder = None,
    keep: Annotated[int, typer.Option(help="Newest checkpoints to keep.", min=1)] = 1,
    json: Json = False,
) -> None:
    """Remove all but the newest checkpoints; the newest good one always stays."""
    from agnews_cli.cli.output import Output
    from agnews_cli.workflows.sessions.saves import pruned

    out = Output(json=json)
    gone = pruned(run, store, keep=keep)
    out.result(list(gone))
    out.screen(f"Removed {len(gone)} checkpoint{'' if len(gone) == 1 else 's'}.", *gone)


@app.command("push", cls=Command)
@examples(
    ("agnews checkpoints push --store drive", "sends the newest to Google Drive"),
)
def push(run: Run = "latest", store: Stores = None, json: Json = False) -> None:
    """Send the newest of a run to further stores."""
    from agnews_cli.cli.output import Output
    from agnews_cli.workflows.runs.stores import choose
    from agnews_cli.workflows.sessions.saves import push

    out, chosen = Output(json=json), choose(store or ())
    found = push(run, chosen.folder, chosen.remotes)
    out.result([line.as_json() for line in found])
    rows = [(s.store, name, proof) for s in found for name, proof in s.parcels.items()]
    out.table(("store", "checkpoint", "proof"), rows)
    for line in found:
        if line.problem:
            out.warn(line.problem)
    if any(line.problem for line in found):
        raise typer.Exit(69)


@app.command("pull", cls=Command)
@examples(
    ("agnews checkpoints pull latest --store hf://me/runs", "brings the newest"),
)
def pull(run: Run = "latest", store: Stores = None, json: Json = False) -> None:
    """Bring the newest of a run that verifies from further stores."""
    from agnews_cli.cli.output import Output
    from agnews_cli.workflows.runs.status import status
    from agnews_cli.workflows.runs.stores import choose
    from agnews_cli.workflows.sessions.saves import pull

    out, chosen = Output(json=json), choose(store or ())
    id_, pulled = pull(run, chosen.folder, chosen.remotes)
    out.result({"run": id_, "pulled": list(pulled.parcels), "skipped": list(pulled.skipped)})
    for what, why in pulled.skipped:
        out.warn(f"{what} is passed over: {why}")
    out.table(("came", "from"), pulled.parcels)
    out.screen(f"{id_} is up to date here. Next: {status(id_, chosen.folder).next}")


@app.command("save-now", cls=Command)
@examples(
    ("agnews checkpoints save-now", "asks the newest run"),
    ("agnews checkpoints save-now --wait 5m", "waits longer"),
)
def save_now(
    run: Run = "latest",
    store: Folder = None,
    wait: Annotated[str, typer.Option(help="How long to wait for it.", metavar="DURATION")] = "2m",
    json: Json = False,
) -> None:
    """Ask a running job for a checkpoint, and wait until it is saved."""
    from agnews_cli.cli.output import Output
    from agnews_cli.core.run.forms import seconds
    from agnews_cli.workflows.sessions.saves import save_now

    out = Output(json=json)
    saved = save_now(run, store, wait_s=seconds("wait", wait) or 0.0)
    out.result(saved.as_json())
    out.screen(f"{saved.run}: step {saved.step} is saved.")
