"""`agnews auto`."""

from __future__ import annotations

import time
from enum import StrEnum
from typing import Annotated

from typer import Option

from agnews_cli.cli.config import Config

STORE_HELP = (
    "Folder for runs; give it again for further stores: a folder, drive, hf://owner/name, "
    "kaggle://owner/slug, or a URL such as s3://bucket/folder. [./agnews-runs, AGNEWS_STORE]"
)


class Goal(StrEnum):
    """What to aim for where several presets fit."""

    accuracy = "accuracy"
    balanced = "balanced"
    speed = "speed"


def auto(
    config: Config = None,
    data: Annotated[
        str | None,
        Option(
            help="Folder, file (CSV, TSV, JSON, Parquet; zip, gz) or hub data set id. [AG News]"
        ),
    ] = None,
    text_column: Annotated[
        list[str] | None, Option(help="Column with the text; give it again to join several.")
    ] = None,
    label_column: Annotated[str | None, Option(help="Column with the label.")] = None,
    id_column: Annotated[
        str | None, Option(help="Column that names each row, as competitions want it back.")
    ] = None,
    no_header: Annotated[
        bool, Option("--no-header", help="The first row is data, not names of columns.")
    ] = False,
    encoding: Annotated[
        str | None, Option(help="Encoding of the files, such as cp1251. [as the bytes say]")
    ] = None,
    raw_text: Annotated[
        bool, Option("--raw-text", help="Leave texts as they are: take no markup out.")
    ] = False,
    skip_bad_rows: Annotated[
        bool, Option("--skip-bad-rows", help="Leave out rows that cannot be used, and count them.")
    ] = False,
    drop_rare: Annotated[
        int, Option(help="Leave out classes with fewer training rows. [0: none]", min=0)
    ] = 0,
    preset: Annotated[
        str | None,
        Option(help="Preset name or YAML file; see `agnews presets ls`. [the best]"),
    ] = None,
    goal: Annotated[Goal, Option(help="What to aim for where several fit.")] = Goal.accuracy,
    budget: Annotated[
        str | None, Option(help="Wall clock for everything, such as 90s, 45m, 2h.")
    ] = None,
    store: Annotated[list[str] | None, Option(help=STORE_HELP)] = None,
    seed: Annotated[int, Option(help="Seed of split, order and initial weights.", min=0)] = 0,
    limit_train: Annotated[
        int | None, Option(help="Use at most so many training rows.", min=8)
    ] = None,
    set_: Annotated[
        list[str] | None,
        Option("--set", help="Change a preset's field, such as training.lr=1e-4; repeatable."),
    ] = None,
    processes: Annotated[
        int | None, Option(help="Training processes. [one for each GPU]", min=1)
    ] = None,
    fresh: Annotated[
        bool, Option("--fresh", help="Train again even if this run is finished.")
    ] = False,
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
    dry_run: Annotated[bool, Option("--dry-run", help="Show the plan; touch nothing.")] = False,
    yes: Annotated[bool, Option("--yes", "-y", help="Never ask (auto asks nothing).")] = False,
    json: Annotated[bool, Option("--json", help="One JSON object on standard output.")] = False,
    quiet: Annotated[bool, Option("--quiet", "-q", help="Only results and errors.")] = False,
) -> None:
    """Find out what this machine is, choose, train, evaluate: one command to a usable model."""
    from agnews_cli.cli import show
    from agnews_cli.cli.output import Output
    from agnews_cli.workflows.auto import Request, carry_out, prepare
    from agnews_cli.workflows.stores import choose

    out = Output(json=json, quiet=quiet)
    chosen = choose(store or ())
    request = Request(
        data=data,
        text_columns=tuple(text_column or ()),
        label_column=label_column,
        id_column=id_column,
        encoding=encoding,
        no_header=no_header,
        raw_text=raw_text,
        skip_bad_rows=skip_bad_rows,
        drop_rare=drop_rare,
        preset=preset,
        goal=goal.value,
        budget_s=seconds("budget", budget),
        store=chosen.folder,
        remotes=chosen.remotes,
        seed=seed,
        limit_train=limit_train,
        settings=tuple(set_ or ()),
        processes=processes,
        is_fresh=fresh,
        is_inexact=inexact,
        trace=trace,
        takeover=takeover,
        session_s=session_seconds(until, session_hours),
        save_every_s=seconds("save-every", save_every),
        is_rehearsal=dry_run,
        started_monotonic_s=process_start_s(),
    )
    with out.progress() as progress:
        plan = prepare(request, show=progress.event)
    show.plan(out, plan, is_result=dry_run)
    if dry_run:
        out.result(plan.as_json("planned"))
        return
    with out.progress() as progress:
        result = carry_out(plan, show=progress.event)
    show.result(out, result)


def seconds(option: str, given: str | None) -> float | None:
    """The duration given for `--option`. Raises BadDuration."""
    from agnews_cli.core import duration
    from agnews_cli.errors import BadDuration

    if given is None:
        return None
    found = duration.parse(given)
    if found is None:
        raise BadDuration(option=option, given=given)
    return found


def session_seconds(until: str | None, hours: float | None) -> float | None:
    """How long the session may last from now; the shorter where both are given."""
    from datetime import datetime

    from agnews_cli.core import duration
    from agnews_cli.errors import BadTimeOfDay

    ends = [] if hours is None else [hours * 3600.0]
    if until is not None:
        left_s = duration.until(until, datetime.now().astimezone())
        if left_s is None:
            raise BadTimeOfDay(given=until)
        ends.append(left_s)
    return min(ends) if ends else None


def process_start_s() -> float:
    """When this process began, on the monotonic clock: imports are part of the user's budget."""
    import psutil

    age_s = time.time() - psutil.Process().create_time()
    return time.monotonic() - min(max(age_s, 0.0), 60.0)
