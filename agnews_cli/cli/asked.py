"""What may be asked of `agnews auto`: each option once, for every command that takes them all.

A command with a parameter of the type `Asked` has these options (see `lazy_group.spread`):

    def notebook(place: …, asked: Asked, force: … = False) -> None:
        request = asked.request()
"""

from __future__ import annotations

import time
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, Context, Option

from agnews_cli.cli.completion import GIVEN, columns, presets
from agnews_cli.cli.config import Config
from agnews_cli.cli.options import (
    DATA,
    MODEL,
    TIME,
    BatchSize,
    Epochs,
    Inexact,
    Model,
    Processes,
    Rate,
    SaveEvery,
    SessionHours,
    Settings,
    Store,
    Takeover,
    Trace,
    Until,
)

if TYPE_CHECKING:
    from agnews_cli.core.run.dataset import Reading
    from agnews_cli.workflows.train.auto import Request

_LEAST_SESSION_S = 36.0


class Goal(StrEnum):
    """What to aim for where several presets fit."""

    accuracy = "accuracy"
    balanced = "balanced"
    speed = "speed"


def _data(help_: str, *names: str, **more: Any) -> Any:
    return Option(*names, help=help_, rich_help_panel=DATA, **more)


def _model(help_: str, *names: str, **more: Any) -> Any:
    return Option(*names, help=help_, rich_help_panel=MODEL, **more)


def _note_given(context: Context, value: str | None) -> None:
    context.meta[GIVEN] = value


def _data_given(context: Context, value: str | None) -> str | None:
    """What the word without an option says is --data. Raises DataTwice."""
    from agnews_cli.errors import DataTwice

    given: str | None = context.meta.get(GIVEN)
    source = context.get_parameter_source("data")
    is_typed = source is not None and source.name == "COMMANDLINE"  # and not --config's
    if given is not None and is_typed and value != given:
        raise DataTwice(given=given, option=value, command=context.command_path)
    return value if given is None else given


@dataclass(frozen=True, slots=True, kw_only=True)
class DataOptions:
    """Which data, and how they are read."""

    given: Annotated[
        str | None,
        Argument(
            help="The same as --data.",
            metavar="[DATA]",
            is_eager=True,
            expose_value=False,
            callback=_note_given,
        ),
    ] = None
    """Always None: it is in `data`."""
    data: Annotated[
        str | None,
        _data(
            "Folder, file (CSV, TSV, JSON, Parquet; zip, gz) or hub data set id. [AG News]",
            metavar="DATA",
            callback=_data_given,
        ),
    ] = None
    text_column: Annotated[
        list[str] | None,
        _data(
            "Column with the text; give it again to join several.",
            metavar="NAME",
            autocompletion=columns,
        ),
    ] = None
    label_column: Annotated[
        str | None, _data("Column with the label.", metavar="NAME", autocompletion=columns)
    ] = None
    id_column: Annotated[
        str | None,
        _data(
            "Column that names each row, as competitions want it back.",
            metavar="NAME",
            autocompletion=columns,
        ),
    ] = None
    no_header: Annotated[
        bool, _data("The first row is data, not names of columns.", "--no-header")
    ] = False
    encoding: Annotated[
        str | None,
        _data("Encoding of the files, such as cp1251. [as the bytes say]", metavar="CODEC"),
    ] = None
    raw_text: Annotated[
        bool, _data("Leave texts as they are: take no markup out.", "--raw-text")
    ] = False
    skip_bad_rows: Annotated[
        bool, _data("Leave out rows that cannot be used, and count them.", "--skip-bad-rows")
    ] = False
    drop_rare: Annotated[
        int,
        _data("Leave out classes with fewer training rows. [0: none]", metavar="N"),
    ] = 0
    limit_train: Annotated[int | None, _data("Use at most so many training rows.", metavar="N")] = (
        None
    )

    def reading(self) -> Reading:
        """What is said of the data."""
        from agnews_cli.core.run.dataset import Reading

        return Reading(
            text_columns=tuple(self.text_column or ()),
            label_column=self.label_column,
            id_column=self.id_column,
            encoding=self.encoding,
            header=False if self.no_header else None,
            raw_text=self.raw_text,
            skip_bad_rows=self.skip_bad_rows,
            drop_rare=self.drop_rare,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked(DataOptions):
    """The options; a field is the option of its name, or of the name that it gives."""

    preset: Annotated[
        str | None,
        _model(
            "Preset name or YAML file; see `agnews presets ls`. [the best]",
            metavar="PRESET",
            autocompletion=presets,
        ),
    ] = None
    model: Model = None
    goal: Annotated[Goal, _model("What to aim for where several fit.")] = Goal.accuracy
    epochs: Epochs = None
    lr: Rate = None
    batch_size: BatchSize = None
    seed: Annotated[
        int,
        _model("Seed of order and initial weights; data.seed draws the split. [0]", metavar="N"),
    ] = 0
    set_: Settings = None
    budget: Annotated[
        str | None,
        Option(
            help="Wall clock for everything, such as 90s, 45m, 2h.",
            metavar="DURATION",
            rich_help_panel=TIME,
        ),
    ] = None
    until: Until = None
    session_hours: SessionHours = None
    save_every: SaveEvery = None
    store: Store = None
    fresh: Annotated[
        bool,
        Option("--fresh", help="Train again even if this run is finished.", rich_help_panel=MODEL),
    ] = False
    inexact: Inexact = False
    takeover: Takeover = False
    processes: Processes = None
    trace: Trace = False
    config: Config = None

    def request(self, *, is_rehearsal: bool = False) -> Request:
        """What is asked of the workflow. Raises BadDuration, BadTimeOfDay, BadStore."""
        from agnews_cli.core.run.training_options import as_settings
        from agnews_cli.workflows.runs.stores import choose
        from agnews_cli.workflows.train.auto import Request

        chosen = choose(self.store or ())
        request = Request(
            data=self.data,
            preset=self.preset,
            model=self.model,
            goal=self.goal.value,
            budget_s=seconds("budget", self.budget),
            store=chosen.folder,
            remotes=chosen.remotes,
            seed=self.seed,
            limit_train=self.limit_train,
            settings=as_settings(
                self.set_ or (), epochs=self.epochs, lr=self.lr, batch_size=self.batch_size
            ),
            processes=self.processes,
            is_fresh=self.fresh,
            is_inexact=self.inexact,
            trace=self.trace,
            takeover=self.takeover,
            session_s=session_seconds(self.until, self.session_hours),
            save_every_s=seconds("save-every", self.save_every),
            is_rehearsal=is_rehearsal,
            started_monotonic_s=process_start_s(),
        )
        return request.with_reading(self.reading())

    def arguments(self) -> tuple[str, ...]:
        """The words after `agnews auto` that ask for the same, on any machine and at any time.

        What --config gave is among them.
        """
        words: list[str] = []
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name in {"config", "given"} or value == field.default:
                continue
            option = "--" + field.name.rstrip("_").replace("_", "-")
            if value is True:
                words.append(option)
                continue
            for each in value if isinstance(value, list) else [value]:
                words += [option, str(each)]
        return tuple(words)


def seconds(
    option: str,
    given: str | None,
    *,
    unit_s: float | None = None,
    likely: str = "ms",
    least_s: float = 0.0,
) -> float | None:
    """The duration given for `--option`. Raises BadDuration.

    `unit_s`: of a number alone, where the option's name gives the unit. `likely`: the units that it
    may have meant elsewhere.
    """
    from agnews_cli.core.text import duration
    from agnews_cli.errors import BadDuration

    if given is None:
        return None
    like = duration.meant(given, likely) or ("8h" if unit_s or likely == "hm" else "45m")
    try:
        found_s = duration.read(given, unit_s=unit_s, likely=likely)
    except ValueError as problem:
        raise BadDuration(option=option, given=given, problem=problem, like=like) from None
    if found_s < least_s:
        short = f"too short: expected at least {duration.write(least_s)}."
        raise BadDuration(option=option, given=given, problem=short, like="8h")
    return found_s


def session_seconds(until: str | None, hours: str | None) -> float | None:
    """How long the session may last from now; the shorter where both are given."""
    from datetime import datetime

    from agnews_cli.core.text import duration
    from agnews_cli.errors import BadTimeOfDay

    left_s = seconds("session-hours", hours, unit_s=3600.0, least_s=_LEAST_SESSION_S)
    ends = [] if left_s is None else [left_s]
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
