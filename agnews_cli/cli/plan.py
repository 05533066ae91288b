"""`agnews plan`."""

from pathlib import Path
from typing import Annotated

from typer import Option

from agnews_cli.cli.asked import AskedData, AskedTraining
from agnews_cli.cli.completion import places as places_of
from agnews_cli.cli.completion import presets
from agnews_cli.cli.manual import examples
from agnews_cli.cli.options import Folder, Json
from agnews_cli.core.run.request import DATA, MODEL

_WORK = "What is trained"
_PLACES = "Where, and what is left there"
_CHANGE = "What if"


@examples(
    ("agnews plan --on kaggle", "with your quota on Kaggle"),
    ("agnews plan reviews.csv --on here", "your data, on this machine"),
    ("agnews plan --ensemble 5 --on kaggle", "five models and their average"),
    ("agnews plan --rows 20000 --what-if kaggle", "what would be faster"),
)
def plan(
    source: AskedData,
    *,
    rows: Annotated[
        int | None,
        Option(
            help="Training rows, where no data are given. [120000]",
            metavar="N",
            rich_help_panel=DATA,
        ),
    ] = None,
    preset: Annotated[
        str | None,
        Option(
            help="Preset to train, a name or a YAML file. [deberta-v3-base]",
            metavar="PRESET",
            autocompletion=presets,
            rich_help_panel=MODEL,
        ),
    ] = None,
    changed: AskedTraining,
    ensemble: Annotated[
        int | None,
        Option(help="Train so many members.", metavar="N", rich_help_panel=_WORK),
    ] = None,
    folds: Annotated[
        int | None,
        Option(help="Stack over so many folds.", metavar="N", rich_help_panel=_WORK),
    ] = None,
    student: Annotated[
        str | None,
        Option(
            help="Distil --preset into this preset.",
            metavar="PRESET",
            autocompletion=presets,
            rich_help_panel=_WORK,
        ),
    ] = None,
    on: Annotated[
        list[str] | None,
        Option(
            help="Where: kaggle, colab-free, here, …; repeatable, or kaggle+colab-free. "
            "[colab-free]",
            metavar="PLACE",
            autocompletion=places_of,
            rich_help_panel=_PLACES,
        ),
    ] = None,
    resources: Annotated[
        Path | None,
        Option(
            help="Your own offers (YAML), instead of the built-in ones.",
            metavar="FILE",
            rich_help_panel=_PLACES,
        ),
    ] = None,
    left: Annotated[
        list[str] | None,
        Option(
            help="Quota that is left, such as kaggle=9.4h; repeatable.",
            metavar="PLACE=DURATION",
            rich_help_panel=_PLACES,
        ),
    ] = None,
    reserve: Annotated[
        str | None,
        Option(
            help="Quota to leave alone, such as 5h.", metavar="DURATION", rich_help_panel=_PLACES
        ),
    ] = None,
    what_if: Annotated[
        list[str] | None,
        Option(
            help="Compare with other places, such as kaggle+colab-free.",
            metavar="PLACE",
            autocompletion=places_of,
            rich_help_panel=_CHANGE,
        ),
    ] = None,
    simulate: Annotated[
        int,
        Option(
            help="Also live through it so many times, on machines that die.",
            metavar="N",
            rich_help_panel=_CHANGE,
        ),
    ] = 0,
    lifetime: Annotated[
        str,
        Option(
            help="With --simulate: mean life of a session, were there no deadline.",
            metavar="DURATION",
            rich_help_panel=_CHANGE,
        ),
    ] = "4h",
    store: Folder = None,
    json: Json = False,
) -> None:
    """Show which sessions a training needs, when it is finished, and what would be faster."""
    from agnews_cli.cli import planned
    from agnews_cli.cli.output import Output
    from agnews_cli.core.run.forms import seconds
    from agnews_cli.workflows.planning.plan import PlanRequest, make

    out, data, training = Output(json=json), source.wish(), changed.wish()
    request = PlanRequest(
        data=data.data,
        reading=data.reading if data.data else None,
        limit_train=data.limit_train,
        rows=rows,
        preset=preset,
        model=training.model,
        settings=training.changes,
        ensemble=ensemble,
        folds=folds,
        student=student,
        on=places(on) if on or resources else ("colab-free",),
        resources=resources,
        left_s=tuple(quota_left(given) for given in left or ()),
        reserve_s=seconds("reserve", reserve, likely="hm") or 0.0,
        what_if=tuple(what_if or ()),
        store=store,
        simulate=simulate,
        lifetime_s=seconds("lifetime", lifetime, likely="hm") or 0.0,
    )
    planned.show(out, make(request))


def places(given: list[str] | None) -> tuple[str, ...]:
    """Names of `--on`, given several times or joined by `+` or `,`."""
    names = "+".join(given or ()).replace(",", "+").split("+")
    return tuple(dict.fromkeys(name.strip() for name in names if name.strip()))


def quota_left(given: str) -> tuple[str, float]:
    """`kaggle=9.4h` as a name and seconds; `kaggle=0h` is none. Raises BadDuration."""
    from agnews_cli.core.text import duration
    from agnews_cli.errors import BadDuration

    name, _, value = given.partition("=")
    if name and value.strip() in {"0", "0h", "0m", "0s"}:
        return name.strip(), 0.0
    try:
        if not name.strip():
            raise ValueError("without the name of a platform.")
        return name.strip(), duration.read(value, likely="hm")
    except ValueError as problem:
        like = f"{name.strip() or 'kaggle'}={duration.meant(value, 'hm') or '9.4h'}"
        raise BadDuration(option="left", given=given, problem=problem, like=like) from None
