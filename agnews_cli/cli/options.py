"""Options that several commands take, each declared once, and the groups that help shows."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from agnews_cli.cli.completion import runs, stores

DATA = "Data"
MODEL = "Model and training"
TIME = "Time and budget"
STORES = "Stores and resume"
MACHINE = "Machine"
OUTPUT = "Output"

Store = Annotated[
    list[str] | None,
    Option(
        help="Folder for runs; give it again for further stores: a folder, drive, "
        "hf://owner/name, kaggle://owner/slug, or a URL such as s3://bucket/folder. "
        "[./agnews-runs, AGNEWS_STORE]",
        metavar="STORE",
        autocompletion=stores,
        rich_help_panel=STORES,
    ),
]
Folder = Annotated[
    Path | None,
    Option("--store", help="Folder for runs. [./agnews-runs]", rich_help_panel=STORES),
]
Run = Annotated[str, Argument(help="Run id, its beginning, or latest.", autocompletion=runs)]
Model = Annotated[
    str | None,
    Option(
        help="Hub id or folder of another model; the recipe is that of --preset, or of the preset "
        "nearest to it.",
        metavar="MODEL",
        rich_help_panel=MODEL,
    ),
]
Epochs = Annotated[
    float | None,
    Option(
        help="Passes over the training rows. [the preset's]", metavar="N", rich_help_panel=MODEL
    ),
]
Rate = Annotated[
    float | None,
    Option(
        help="Peak learning rate, such as 2e-5. [the preset's]",
        metavar="RATE",
        rich_help_panel=MODEL,
    ),
]
BatchSize = Annotated[
    int | None,
    Option(
        help="Texts in one optimizer step, over all devices, a text counted as 64 tokens: steps "
        "are filled by tokens. [the preset's]",
        min=1,
        metavar="N",
        rich_help_panel=MODEL,
    ),
]
Settings = Annotated[
    list[str] | None,
    Option(
        "--set",
        help="Change a preset's field, such as training.lr=1e-4; repeatable.",
        metavar="FIELD=VALUE",
        rich_help_panel=MODEL,
    ),
]
Processes = Annotated[
    int | None,
    Option(help="Training processes. [one for each GPU]", metavar="N", rich_help_panel=MACHINE),
]
Until = Annotated[
    str | None,
    Option(
        help="Pause in time to be saved by then: HH:MM local time, or a duration from now.",
        metavar="TIME",
        rich_help_panel=TIME,
    ),
]
SessionHours = Annotated[
    str | None,
    Option(
        help="Pause in time to be saved after so long: hours, such as 8, or a duration.",
        metavar="HOURS",
        rich_help_panel=TIME,
    ),
]
SaveEvery = Annotated[
    str | None,
    Option(
        help="Time between checkpoints, such as 5m. [what costs least]",
        metavar="DURATION",
        rich_help_panel=TIME,
    ),
]
Trace = Annotated[
    bool,
    Option(
        "--trace",
        help="Write each step's rows, rate and loss to trace.jsonl.",
        rich_help_panel=OUTPUT,
    ),
]
Inexact = Annotated[
    bool,
    Option(
        "--inexact",
        help="Go on also where changed libraries may change the result.",
        rich_help_panel=STORES,
    ),
]
Takeover = Annotated[
    bool,
    Option(
        "--takeover",
        help="Take the run over from a session that seems alive.",
        rich_help_panel=STORES,
    ),
]
Json = Annotated[
    bool, Option("--json", help="One JSON object on standard output.", rich_help_panel=OUTPUT)
]
Quiet = Annotated[
    bool, Option("--quiet", "-q", help="Only results and errors.", rich_help_panel=OUTPUT)
]
