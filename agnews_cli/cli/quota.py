"""`agnews quota`: what is left, when it returns, and how we know."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

from typer import Argument, Context, Exit, Option, Typer

from agnews_cli.cli.completion import platforms
from agnews_cli.cli.manual import Command, Group, examples

app = Typer(
    help="What is left of each platform's hours, when it returns, and how we know.",
    rich_markup_mode=None,
    cls=Group,
)


_EXIT = {True: 0, False: 75, None: 69}
"""Of `--needs`: it fits, it does not fit now, nobody knows."""


class ResourceName(StrEnum):
    """What a platform counts hours of."""

    gpu = "gpu"
    tpu = "tpu"
    cpu = "cpu"


PlatformName = Annotated[
    str, Argument(help="Platform, such as kaggle or colab.", autocompletion=platforms)
]
Kind = Annotated[ResourceName, Argument(help="gpu, tpu or cpu.")]
Json = Annotated[bool, Option("--json", help="One JSON object.")]
Only = Annotated[
    str | None,
    Option("--platform", help="Only this platform.", metavar="PLATFORM", autocompletion=platforms),
]
Offline = Annotated[bool, Option("--offline", help="Ask nobody; what is known is shown.")]


@app.callback(invoke_without_command=True)
@examples(
    ("agnews quota", "what is left here, and when it returns"),
    ("agnews quota --needs 9.4h", "does it fit?"),
    ("agnews quota set colab gpu 95cu", "what you read elsewhere"),
    ("agnews quota log kaggle gpu 3.5h", "hours that agnews did not see"),
)
def quota(
    context: Context,
    platform: Only = None,
    all_: Annotated[bool, Option("--all", help="Every platform that limits are known of.")] = False,
    needs: Annotated[
        str | None,
        Option(help="Time that a plan needs, such as 9.4h: does it fit?", metavar="DURATION"),
    ] = None,
    session_started: Annotated[
        str | None,
        Option(
            help="When this session began, such as 2026-11-25T08:00Z. [estimated]", metavar="TIME"
        ),
    ] = None,
    offline: Offline = False,
    json: Json = False,
) -> None:
    """What is left of each platform's hours, when it returns, and how we know."""
    if context.invoked_subcommand is not None:
        return
    from agnews_cli.cli import bars
    from agnews_cli.cli.output import Output
    from agnews_cli.core.run.forms import seconds
    from agnews_cli.workflows.hours.quota import demand, look

    out = Output(json=json)
    needs_s = seconds("needs", needs, likely="hm")
    view = look(
        platform=platform,
        is_all=all_,
        is_offline=offline,
        session_started=checked_moment("session-started", session_started),
    )
    bars.show(out, view)
    asked = None if needs_s is None else demand(view, needs_s)
    out.result(bars.as_json(view, asked))
    if asked is not None:
        bars.judged(out, asked)
        raise Exit(_EXIT[asked.fits])


@app.command("log", cls=Command)
@examples(
    ("agnews quota log kaggle gpu 3.5h", "just ended"),
    ("agnews quota log colab gpu 2h --began 2026-11-25T08:00Z", "then"),
)
def log(
    platform: PlatformName,
    resource: Kind,
    hours: Annotated[str, Argument(help="How long, such as 3.5h.", metavar="DURATION")],
    began: Annotated[
        str | None,
        Option(help="When it began, such as 2026-11-25T08:00Z. [so long ago]", metavar="TIME"),
    ] = None,
    json: Json = False,
) -> None:
    """Note hours that agnews did not see."""
    from agnews_cli.cli.output import Output
    from agnews_cli.core.hours.quota import hours as shown
    from agnews_cli.workflows.hours.declared import note_used

    fact = note_used(platform, resource.value, hours, checked_moment("began", began))
    out = Output(json=json)
    out.result({"id": fact.id, "began_at": fact.began_at.isoformat(), "seconds": fact.seconds})
    out.screen(f"Noted: {shown(fact.seconds)} on {platform} {resource.value}.")


@app.command("set", cls=Command)
@examples(
    ("agnews quota set kaggle gpu 11.2h", "what is left"),
    ("agnews quota set colab gpu 95cu", "in compute units"),
    ("agnews quota set kaggle gpu --reserve 5h", "to keep back"),
)
def set_(
    platform: PlatformName,
    resource: Kind,
    left: Annotated[
        str | None, Argument(help="What is left: 11.2h, or units such as 95cu.")
    ] = None,
    returns: Annotated[
        str | None,
        Option(help="When the quota returns, such as 2026-11-28T00:00Z.", metavar="TIME"),
    ] = None,
    reserve: Annotated[
        str | None, Option(help="Time to keep back, such as 5h; 0h ends it.", metavar="DURATION")
    ] = None,
    file: Annotated[
        str | None, Option(help="A file that says what is left.", metavar="FILE")
    ] = None,
    command: Annotated[
        str | None,
        Option(help="A command that says what is left, such as 'colab usage'.", metavar="COMMAND"),
    ] = None,
    json: Json = False,
) -> None:
    """Say what is left, what to keep back, or where to read what is left."""
    from agnews_cli.cli.output import Output
    from agnews_cli.workflows.hours.declared import note_left

    returns_at = checked_moment("returns", returns)
    said = note_left(platform, resource.value, left, returns_at, reserve, file, command)
    out = Output(json=json)
    out.result({"platform": platform, "resource": resource.value, "said": list(said)})
    out.screen(*said)


@app.command("import", cls=Command)
@examples(
    ("agnews quota import hours.csv", "known rows are not counted twice"),
)
def import_(
    path: Annotated[Path, Argument(help="CSV, TSV or JSON; see `agnews quota export`.")],
    json: Json = False,
) -> None:
    """Take in hours from a file; what is known already is not counted again."""
    from dataclasses import asdict

    from agnews_cli.cli.output import Output
    from agnews_cli.core.hours.quota import hours
    from agnews_cli.workflows.hours.usage import take_in

    done = take_in(path)
    out = Output(json=json)
    out.result(asdict(done))
    out.screen(f"{done.new} new rows ({hours(done.seconds)}), {done.known} known before.")


@app.command("export", cls=Command)
@examples(
    ("agnews quota export", "on the screen"),
    ("agnews quota export -o hours.csv", "in a file"),
)
def export(
    out_path: Annotated[Path | None, Option("--out", "-o", help="A file. [the screen]")] = None,
) -> None:
    """Write every session's hours as CSV."""
    from agnews_cli.cli.output import Output
    from agnews_cli.store.disk import outputs
    from agnews_cli.workflows.hours.usage import exported

    text = exported()
    if out_path is None:
        Output().screen(text.rstrip("\n"))
    else:
        outputs.write(out_path, text, hint="Leave --out away: then it can be piped.")
        Output().screen(f"{text.count(chr(10)) - 1} rows in {out_path}")


@app.command("forecast", cls=Command)
@examples(
    ("agnews quota forecast", "every platform"),
    ("agnews quota forecast --platform kaggle", "one of them"),
)
def forecast(platform: Only = None, offline: Offline = False, json: Json = False) -> None:
    """When the hours run out at the rate of the last weeks."""
    from agnews_cli.cli.output import Output
    from agnews_cli.core.hours.quota import hours, moment
    from agnews_cli.workflows.hours.quota import look
    from agnews_cli.workflows.hours.usage import forecasts

    found = forecasts(look(platform=platform, is_offline=offline))
    out = Output(json=json)
    out.result([each.as_json() for each in found])
    rows = [
        (
            f"{each.platform} {each.resource}",
            hours(each.per_day_s * 7),
            moment(each.runs_out_at) if each.runs_out_at else each.why_not,
        )
        for each in found
    ]
    out.table(("resource", "a week", "runs out"), rows)


@app.command("history", cls=Command)
@examples(
    ("agnews quota history", "eight weeks"),
    ("agnews quota history --weeks 20 --picture hours.svg", "and a picture"),
)
def history(
    platform: Only = None,
    weeks: Annotated[int, Option(help="How many weeks.", min=1, max=104)] = 8,
    picture: Annotated[Path | None, Option(help="Also draw them: hours.svg or hours.png.")] = None,
    json: Json = False,
) -> None:
    """Hours per week, as a table and a picture."""
    from agnews_cli.cli.output import Output
    from agnews_cli.workflows.hours import usage
    from agnews_cli.workflows.hours.quota import look

    found = usage.weeks(look(platform=platform, is_offline=True), weeks)
    if picture is not None:
        usage.draw(found, picture)
    out = Output(json=json)
    out.result([{"start": week.start.isoformat(), "hours": week.hours} for week in found])
    names = sorted({name for week in found for name in week.hours})
    if not names:
        note = "agnews quota log kaggle gpu 3.5h"
        out.screen(
            f"No hours are known of these {weeks} weeks. Note what agnews did not see: {note}"
        )
        return
    rows = [
        (f"{week.start:%Y-%m-%d}", *(f"{week.hours.get(name, 0.0):.1f}" for name in names))
        for week in found
    ]
    out.table(("week of", *names), rows)
    if picture is not None:
        out.screen(f"The picture is {picture}")


def checked_moment(option: str, given: str | None) -> str | None:
    """The time given for `--option`, as it was given. Raises BadTime."""
    from agnews_cli.core.hours.reported import moment
    from agnews_cli.errors import BadTime

    if given is not None and moment(given) is None:
        raise BadTime(option=option, given=given)
    return given
