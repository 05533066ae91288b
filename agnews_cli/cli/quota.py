"""`agnews quota`: what is left, when it returns, and how we know."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

from typer import Argument, Context, Option, Typer

app = Typer(
    help="What is left of each platform's hours, when it returns, and how we know.",
    rich_markup_mode=None,
)


class ResourceName(StrEnum):
    """What a platform counts hours of."""

    gpu = "gpu"
    tpu = "tpu"
    cpu = "cpu"


PlatformName = Annotated[str, Argument(help="Platform, such as kaggle or colab.")]
Kind = Annotated[ResourceName, Argument(help="gpu, tpu or cpu.")]
Json = Annotated[bool, Option("--json", help="One JSON object.")]
Only = Annotated[str | None, Option("--platform", help="Only this platform.")]
Offline = Annotated[bool, Option("--offline", help="Ask nobody; what is known is shown.")]


@app.callback(invoke_without_command=True)
def quota(
    context: Context,
    platform: Only = None,
    all_: Annotated[bool, Option("--all", help="Every platform that limits are known of.")] = False,
    needs: Annotated[
        str | None, Option(help="Hours that a plan needs, such as 9.4h: does it fit?")
    ] = None,
    session_started: Annotated[
        str | None, Option(help="When this session began, such as 2026-11-25T08:00Z. [estimated]")
    ] = None,
    offline: Offline = False,
    json: Json = False,
) -> None:
    """What is left of each platform's hours, when it returns, and how we know."""
    if context.invoked_subcommand is not None:
        return
    from agnews_cli.cli import bars
    from agnews_cli.cli.output import Output
    from agnews_cli.workflows.quota import look, plan_facts

    out = Output(json=json)
    needs_s = hours_s(needs, "--needs")
    view = look(
        platform=platform,
        is_all=all_,
        is_offline=offline,
        session_started=checked_moment("session-started", session_started),
    )
    bars.show(out, view)
    plan = plan_facts(view, needs_s)
    out.screen(*(each["verdict"] for each in plan))
    out.result(view.as_json() | {"plan": plan})


@app.command("log")
def log(
    platform: PlatformName,
    resource: Kind,
    hours: Annotated[str, Argument(help="How long, such as 3.5h.")],
    began: Annotated[
        str | None, Option(help="When it began, such as 2026-11-25T08:00Z. [so long ago]")
    ] = None,
    json: Json = False,
) -> None:
    """Note hours that agnews did not see."""
    from agnews_cli.cli.output import Output
    from agnews_cli.core.quota import hours as shown
    from agnews_cli.workflows.told import note_used

    fact = note_used(platform, resource.value, hours, checked_moment("began", began))
    out = Output(json=json)
    out.result({"id": fact.id, "began_at": fact.began_at.isoformat(), "seconds": fact.seconds})
    out.screen(f"Noted: {shown(fact.seconds)} on {platform} {resource.value}.")


@app.command("set")
def set_(
    platform: PlatformName,
    resource: Kind,
    left: Annotated[
        str | None, Argument(help="What is left: 11.2h, or units such as 95cu.")
    ] = None,
    returns: Annotated[
        str | None, Option(help="When the quota returns, such as 2026-11-28T00:00Z.")
    ] = None,
    reserve: Annotated[
        str | None, Option(help="Hours to keep back, such as 5h; 0h ends it.")
    ] = None,
    file: Annotated[str | None, Option(help="A file that says what is left.")] = None,
    command: Annotated[
        str | None, Option(help="A command that says what is left, such as 'colab usage'.")
    ] = None,
    json: Json = False,
) -> None:
    """Say what is left, what to keep back, or where to read what is left."""
    from agnews_cli.cli.output import Output
    from agnews_cli.workflows.told import note_left

    returns_at = checked_moment("returns", returns)
    said = note_left(platform, resource.value, left, returns_at, reserve, file, command)
    out = Output(json=json)
    out.result({"platform": platform, "resource": resource.value, "said": list(said)})
    out.screen(*said)


@app.command("import")
def import_(
    path: Annotated[Path, Argument(help="CSV, TSV or JSON; see `agnews quota export`.")],
    json: Json = False,
) -> None:
    """Take in hours from a file; what is known already is not counted again."""
    from dataclasses import asdict

    from agnews_cli.cli.output import Output
    from agnews_cli.core.quota import hours
    from agnews_cli.workflows.usage import take_in

    done = take_in(path)
    out = Output(json=json)
    out.result(asdict(done))
    out.screen(f"{done.new} new rows ({hours(done.seconds)}), {done.known} known before.")


@app.command("export")
def export(
    out_path: Annotated[Path | None, Option("--out", "-o", help="A file. [the screen]")] = None,
) -> None:
    """Write every session's hours as CSV."""
    from agnews_cli.cli.output import Output
    from agnews_cli.store.runs import write_text_atomically
    from agnews_cli.workflows.usage import exported

    text = exported()
    if out_path is None:
        Output().screen(text.rstrip("\n"))
    else:
        write_text_atomically(out_path.expanduser().absolute(), text)
        Output().screen(f"{text.count(chr(10)) - 1} rows in {out_path}")


@app.command("forecast")
def forecast(platform: Only = None, offline: Offline = False, json: Json = False) -> None:
    """When the hours run out at the rate of the last weeks."""
    from agnews_cli.cli.output import Output
    from agnews_cli.core.quota import hours, moment
    from agnews_cli.workflows.quota import look
    from agnews_cli.workflows.usage import forecasts

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


@app.command("history")
def history(
    platform: Only = None,
    weeks: Annotated[int, Option(help="How many weeks.", min=1, max=104)] = 8,
    picture: Annotated[Path | None, Option(help="Also draw them: hours.svg or hours.png.")] = None,
    json: Json = False,
) -> None:
    """Hours per week, as a table and a picture."""
    from agnews_cli.cli.output import Output
    from agnews_cli.workflows import usage
    from agnews_cli.workflows.quota import look

    found = usage.weeks(look(platform=platform, is_offline=True), weeks)
    if picture is not None:
        usage.draw(found, picture.expanduser())
    out = Output(json=json)
    out.result([{"start": week.start.isoformat(), "hours": week.hours} for week in found])
    names = sorted({name for week in found for name in week.hours})
    rows = [
        (f"{week.start:%Y-%m-%d}", *(f"{week.hours.get(name, 0.0):.1f}" for name in names))
        for week in found
    ]
    out.table(("week of", *names), rows)
    if picture is not None:
        out.screen(f"The picture is {picture}")


def hours_s(given: str | None, command: str) -> float | None:
    """Seconds in `9.4h`. Raises BadHours."""
    from agnews_cli.core.reported import amount_s
    from agnews_cli.errors import BadHours

    if given is None:
        return None
    found = amount_s(given, None)
    if found is None:
        raise BadHours(given=given, units="", command=command)
    return found


def checked_moment(option: str, given: str | None) -> str | None:
    """The time given for `--option`, as it was given. Raises BadTime."""
    from agnews_cli.core.reported import moment
    from agnews_cli.errors import BadTime

    if given is not None and moment(given) is None:
        raise BadTime(option=option, given=given)
    return given
