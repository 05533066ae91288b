"""`agnews auto`."""

from __future__ import annotations

import time
from enum import StrEnum
from pathlib import Path
from typing import Annotated

from typer import Option


class Goal(StrEnum):
    """What to aim for where several presets fit."""

    accuracy = "accuracy"
    balanced = "balanced"
    speed = "speed"


def auto(
    data: Annotated[
        str | None,
        Option(help="Folder, file (.csv .tsv .jsonl .parquet) or hub data set id. [AG News]"),
    ] = None,
    text_column: Annotated[
        list[str] | None, Option(help="Column with the text; give it again to join several.")
    ] = None,
    label_column: Annotated[str | None, Option(help="Column with the label.")] = None,
    preset: Annotated[
        str | None,
        Option(help="Preset name or YAML file; see `agnews presets ls`. [the best]"),
    ] = None,
    goal: Annotated[Goal, Option(help="What to aim for where several fit.")] = Goal.accuracy,
    budget: Annotated[
        str | None, Option(help="Wall clock for everything, such as 90s, 45m, 2h.")
    ] = None,
    store: Annotated[Path | None, Option(help="Folder for runs. [./agnews-runs]")] = None,
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
    dry_run: Annotated[bool, Option("--dry-run", help="Show the plan; touch nothing.")] = False,
    yes: Annotated[bool, Option("--yes", "-y", help="Never ask (auto asks nothing).")] = False,
    json: Annotated[bool, Option("--json", help="One JSON object on standard output.")] = False,
    quiet: Annotated[bool, Option("--quiet", "-q", help="Only results and errors.")] = False,
) -> None:
    """Find out what this machine is, choose, train, evaluate: one command to a usable model."""
    from agnews_cli.cli import show
    from agnews_cli.cli.output import Output
    from agnews_cli.workflows.auto import Request, carry_out, prepare

    started_s = _process_start_s()
    out = Output(json=json, quiet=quiet)
    request = Request(
        data=data,
        text_columns=tuple(text_column or ()),
        label_column=label_column,
        preset=preset,
        goal=goal.value,
        budget_s=_seconds(budget),
        store=store,
        seed=seed,
        limit_train=limit_train,
        settings=tuple(set_ or ()),
        processes=processes,
        is_fresh=fresh,
        started_monotonic_s=started_s,
    )
    plan = prepare(request)
    show.plan(out, plan, is_result=dry_run)
    if dry_run:
        out.result(plan.as_json("planned"))
        return
    with out.progress() as progress:
        result = carry_out(plan, show=progress.event)
    show.result(out, result)


def _seconds(budget: str | None) -> float | None:
    from agnews_cli.core import duration
    from agnews_cli.errors import BadDuration

    if budget is None:
        return None
    seconds = duration.parse(budget)
    if seconds is None:
        raise BadDuration(option="budget", given=budget)
    return seconds


def _process_start_s() -> float:
    """When this process began, on the monotonic clock: imports are part of the user's budget."""
    import psutil

    age_s = time.time() - psutil.Process().create_time()
    return time.monotonic() - min(max(age_s, 0.0), 60.0)
