"""`agnews plan`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Option


def plan(
    preset: Annotated[str, Option(help="Preset to train, a name or a YAML file.")] = (
        "deberta-v3-base"
    ),
    set_: Annotated[
        list[str] | None, Option("--set", help="Change a preset's field; repeatable.")
    ] = None,
    ensemble: Annotated[int | None, Option(help="Train so many members.", min=2)] = None,
    folds: Annotated[int | None, Option(help="Stack over so many folds.", min=2)] = None,
    student: Annotated[
        str | None, Option(help="Distil --preset into this preset.", metavar="PRESET")
    ] = None,
    on: Annotated[
        list[str] | None,
        Option(help="Where: kaggle, colab-free, …; repeatable, or kaggle+colab-free. [colab-free]"),
    ] = None,
    resources: Annotated[
        Path | None, Option(help="Your own offers (YAML), instead of the built-in ones.")
    ] = None,
    left: Annotated[
        list[str] | None, Option(help="Quota that is left, such as kaggle=9.4h; repeatable.")
    ] = None,
    reserve: Annotated[str | None, Option(help="Quota to leave alone, such as 5h.")] = None,
    rows: Annotated[int, Option(help="Training rows.", min=8)] = 120_000,
    what_if: Annotated[
        list[str] | None, Option(help="Compare with other places, such as kaggle+colab-free.")
    ] = None,
    simulate: Annotated[
        int, Option(help="Also live through it so many times, on machines that die.", min=0)
    ] = 0,
    lifetime: Annotated[
        str, Option(help="With --simulate: mean life of a session, were there no deadline.")
    ] = "4h",
    store: Annotated[Path | None, Option(help="Folder for runs. [./agnews-runs]")] = None,
    json: Annotated[bool, Option("--json", help="One JSON object.")] = False,
) -> None:
    """Show which sessions a training needs, when it is finished, and what would be faster."""
    from agnews_cli.cli import planned
    from agnews_cli.cli.auto import seconds
    from agnews_cli.cli.output import Output
    from agnews_cli.workflows.plan import Request, make

    out = Output(json=json)
    request = Request(
        preset=preset,
        settings=tuple(set_ or ()),
        ensemble=ensemble,
        folds=folds,
        student=student,
        on=places(on) if on or resources else ("colab-free",),
        resources=resources,
        left_s=tuple(quota_left(given) for given in left or ()),
        reserve_s=seconds("reserve", reserve) or 0.0,
        rows=rows,
        what_if=tuple(what_if or ()),
        store=store,
        simulate=simulate,
        lifetime_s=seconds("lifetime", lifetime) or 0.0,
    )
    planned.show(out, make(request))


def places(given: list[str] | None) -> tuple[str, ...]:
    """Names of `--on`, given several times or joined by `+` or `,`."""
    names = "+".join(given or ()).replace(",", "+").split("+")
    return tuple(dict.fromkeys(name.strip() for name in names if name.strip()))


def quota_left(given: str) -> tuple[str, float]:
    """`kaggle=9.4h` as a name and seconds; `kaggle=0` is none. Raises BadDuration."""
    from agnews_cli.core import duration
    from agnews_cli.errors import BadDuration

    name, _, value = given.partition("=")
    seconds = 0.0 if value.strip() in {"0", "0h"} else duration.parse(value)
    if not name or seconds is None:
        raise BadDuration(option="left", given=given, hint="Try --left kaggle=9.4h")
    return name.strip(), seconds
