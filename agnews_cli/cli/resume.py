"""`agnews resume`."""

from __future__ import annotations

from typing import Annotated

from typer import Argument, Option

from agnews_cli.cli.auto import STORE_HELP, process_start_s, seconds, session_seconds


def resume(
    run: Annotated[
        str | None, Argument(help="Run id, or its beginning. [the newest unfinished run]")
    ] = None,
    store: Annotated[list[str] | None, Option(help=STORE_HELP)] = None,
    data: Annotated[str | None, Option(help="Where the data lie now, if they were moved.")] = None,
    processes: Annotated[
        int | None, Option(help="Training processes. [one for each GPU]", min=1)
    ] = None,
    until: Annotated[
        str | None, Option(help="Pause in time to be saved by then: HH:MM, local time.")
    ] = None,
    session_hours: Annotated[
        float | None, Option(help="Pause in time to be saved after so many hours.", min=0.01)
    ] = None,
    save_every: Annotated[
        str | None, Option(help="Time between checkpoints, such as 5m. [what costs least]")
    ] = None,
    trace: Annotated[
        bool, Option("--trace", help="Write each step's rows, rate and loss to trace.jsonl.")
    ] = False,
    inexact: Annotated[
        bool, Option("--inexact", help="Go on also where changed libraries may change the result.")
    ] = False,
    takeover: Annotated[
        bool, Option("--takeover", help="Take the run over from a session that seems alive.")
    ] = False,
    json: Annotated[bool, Option("--json", help="One JSON object on standard output.")] = False,
    quiet: Annotated[bool, Option("--quiet", "-q", help="Only results and errors.")] = False,
) -> None:
    """Go on with an unfinished run, exactly where its newest good checkpoint stands."""
    from agnews_cli.cli import show
    from agnews_cli.cli.output import Output
    from agnews_cli.workflows.auto import Request, carry_out
    from agnews_cli.workflows.resume import prepare_again
    from agnews_cli.workflows.stores import choose

    out = Output(json=json, quiet=quiet)
    chosen = choose(store or ())
    request = Request(
        store=chosen.folder,
        remotes=chosen.remotes,
        processes=processes,
        session_s=session_seconds(until, session_hours),
        save_every_s=seconds("save-every", save_every),
        is_inexact=inexact,
        trace=trace,
        takeover=takeover,
        started_monotonic_s=process_start_s(),
    )
    plan, others = prepare_again(run, request, data=data)
    if others:
        out.say("Unfinished too: " + "; ".join(f"{o.run} ({o.where})" for o in others))
    show.plan(out, plan, is_result=False)
    with out.progress() as progress:
        result = carry_out(plan, show=progress.event)
    show.result(out, result)
