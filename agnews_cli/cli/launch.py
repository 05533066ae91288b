"""`agnews launch`."""

from typing import Annotated

import typer
from typer import Argument, Option

from agnews_cli.cli.asked import Asked
from agnews_cli.cli.config import Config
from agnews_cli.cli.lazy_group import spread
from agnews_cli.cli.manual import Command, Group, examples
from agnews_cli.cli.options import Json, Quiet
from agnews_cli.core.run.request import MACHINE, TIME

app = typer.Typer(
    help="Sessions that start themselves, on Kaggle and elsewhere, until all is done.",
    no_args_is_help=True,
    rich_markup_mode=None,
    cls=Group,
)


@examples(
    ("agnews launch kaggle reviews.csv", "sessions until it is done"),
    ("agnews launch kaggle --preset ensemble-t4x2", "an ensemble over a weekend"),
    ("agnews launch kaggle reviews.csv --once", "do what is due, for cron"),
)
def kaggle(
    asked: Asked,
    config: Config = None,
    accelerator: Annotated[
        str,
        Option(
            help="By Kaggle's name, such as NvidiaTeslaT4 (two of them); none for a CPU.",
            metavar="NAME",
            rich_help_panel=MACHINE,
        ),
    ] = "NvidiaTeslaT4",
    once: Annotated[
        bool, Option("--once", help="Do what is due, and wait for nothing.", rich_help_panel=TIME)
    ] = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Train in batch sessions of Kaggle: push, wait, bring home, begin the next one.

    Typed again it goes on, also after this machine was off: what it began is found again.
    """
    from agnews_cli.cli.output import Output
    from agnews_cli.workflows.launch import carry, on_kaggle

    out = Output(json=json, quiet=quiet)
    typed = (*asked.arguments(), "--accelerator", accelerator)
    plan = on_kaggle.prepare(asked.request(), accelerator=accelerator, typed=typed, once=once)
    done = carry.carry_out(plan, out.say)
    out.result(done.as_json())
    out.screen(*done.lines())


app.command("kaggle", cls=Command)(spread(kaggle))


Package = Annotated[
    str | None,
    Option(help="What pip installs there. [this agnews]", metavar="NAME", rich_help_panel=MACHINE),
]


@examples(
    ("agnews launch hf-jobs --hours 8h", "at most eight hours in all"),
    ("agnews launch hf-jobs --hours 2h --flavor l4x1", "on another machine"),
)
def hf_jobs(
    asked: Asked,
    hours: Annotated[
        str,
        Option(
            help="What all sessions together may take; Hugging Face bills it.",
            metavar="DURATION",
            rich_help_panel=TIME,
        ),
    ],
    config: Config = None,
    flavor: Annotated[
        str, Option(help="By Hugging Face's name.", metavar="NAME", rich_help_panel=MACHINE)
    ] = "t4-small",
    package: Package = None,
    once: Annotated[
        bool, Option("--once", help="Do what is due, and wait for nothing.", rich_help_panel=TIME)
    ] = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Train in jobs of Hugging Face, which are paid by the minute.

    Runs are kept in a private store of the launch's own on the hub, and come home from there.
    """
    from agnews_cli.cli.output import Output
    from agnews_cli.core.run.forms import seconds
    from agnews_cli.workflows.launch import carry, on_hf_jobs

    out, hours_s = Output(json=json, quiet=quiet), seconds("hours", hours) or 0.0
    typed = (*asked.arguments(), "--hours", hours, "--flavor", flavor)
    typed += ("--package", package) if package else ()
    plan = on_hf_jobs.prepare(
        asked.request(),
        flavor=flavor,
        hours_s=hours_s,
        requirement=package,
        typed=typed,
        once=once,
    )
    done = carry.carry_out(plan, out.say)
    out.result(done.as_json())
    out.screen(*done.lines())


app.command("hf-jobs", cls=Command)(spread(hf_jobs))


@examples(
    ("agnews launch sky --print --store s3://bucket/runs", "for sky jobs launch"),
)
def sky(
    asked: Asked,
    config: Config = None,
    print_: Annotated[
        bool, Option("--print", help="Print the YAML; agnews starts nothing there.")
    ] = False,
    accelerators: Annotated[
        str, Option(help="As SkyPilot names them.", metavar="NAME:N", rich_help_panel=MACHINE)
    ] = "T4:1",
    spot: Annotated[
        bool,
        Option(
            "--spot/--no-spot",
            help="On machines that may be taken away, for less. [spot]",
            rich_help_panel=MACHINE,
        ),
    ] = True,
    package: Package = None,
) -> None:
    """Print a task for SkyPilot's managed jobs, which rent machines and go on by themselves."""
    from agnews_cli.cli.output import Output
    from agnews_cli.errors import CannotLaunch
    from agnews_cli.workflows.launch import sky as work

    if not print_:
        hint = "agnews launch sky --print --store … > task.yaml; sky jobs launch task.yaml"
        raise CannotLaunch(reason="agnews starts nothing with SkyPilot itself", hint=hint)
    text = work.task(asked.request(), accelerators=accelerators, is_spot=spot, requirement=package)
    Output().screen(text.rstrip("\n"))


app.command("sky", cls=Command)(spread(sky))


@app.command("ls", cls=Command)
@examples(
    ("agnews launch ls", "a table"),
    ("agnews launch ls --json", "for a program"),
)
def ls(json: Annotated[bool, Option("--json", help="One JSON array.")] = False) -> None:
    """List what was launched from here, and how it stands as far as is known here."""
    from agnews_cli.cli.output import Output
    from agnews_cli.workflows.launch import listed, plans

    out, every = Output(json=json), listed.every()
    out.result([plans.as_json(each.record) for each in every])
    out.table(
        ("launch", "where", "sessions", "at most", "state"),
        [
            (e.record.id, e.record.platform, str(len(e.record.sessions)), e.booked, e.state)
            for e in every
        ],
    )


@app.command("cancel", cls=Command)
@examples(
    ("agnews launch cancel LAUNCH", "what it would lose"),
    ("agnews launch cancel LAUNCH --yes", "end its session"),
)
def cancel(
    launch: Annotated[str, Argument(help="As `agnews launch ls` names it.")],
    yes: Annotated[bool, Option("--yes", "-y", help="Do it.")] = False,
    json: Json = False,
) -> None:
    """End the session of a launch that is under way."""
    from agnews_cli.cli.output import Output
    from agnews_cli.workflows.launch import listed

    out = Output(json=json)
    found = listed.cancel(launch, is_sure=yes)
    out.result(found)
    out.screen(f"{launch}: its session is ended; the same command as before begins the next one.")
