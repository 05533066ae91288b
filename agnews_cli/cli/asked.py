"""What may be asked of `agnews auto`, as options of every command that takes it.

A command with such a parameter has an option for each declared field (`core/run/request`):

    def notebook(place: …, asked: Asked, force: … = False) -> None:
        request = asked.request()
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from typer import Argument, Context, Option

from agnews_cli.cli import completion
from agnews_cli.core.run import request as asking
from agnews_cli.core.run.request import Declared, SessionOptions, Wish

if TYPE_CHECKING:
    from agnews_cli.workflows.train.scene import Request


class Words(NamedTuple):
    """What was typed, by the names of the fields; a field that a command does not take is left as
    it is by default."""

    typed: Mapping[str, Any]

    def wish(self) -> Wish:
        """What decides the run. Raises BadDuration."""
        return Wish(**self._values(Wish))

    def session(self) -> SessionOptions:
        """What is for this session. Raises BadDuration or BadTimeOfDay."""
        return SessionOptions(**self._values(SessionOptions))

    def request(self, *, is_rehearsal: bool = False) -> Request:
        """What is asked of the workflow. Raises BadDuration or BadTimeOfDay."""
        from agnews_cli.workflows.train.scene import Request

        began_s = process_start_s()
        return Request(self.wish(), self.session(), is_rehearsal, started_monotonic_s=began_s)

    def arguments(self) -> tuple[str, ...]:
        """The words after `agnews auto` that ask for the same, on any machine and at any time.

        What --config gave is among them.
        """
        given = {
            one.key: self.typed[one.name]
            for one in asking.every()
            if self.typed.get(one.name) not in (None, one.default)
        }
        return asking.arguments(given)

    def _values(self, kind: type[Wish] | type[SessionOptions]) -> dict[str, Any]:
        now = datetime.now().astimezone()
        return {
            one.name: one.ask.form.read(one.option, self.typed[one.name], now)
            for one in asking.FIELDS[kind]
            if one.name in self.typed
        }


class Options(NamedTuple):
    """Says of a parameter of type `Words` which fields are its options (`lazy_group.spread`)."""

    fields: tuple[Declared, ...]

    def parameters(self) -> list[inspect.Parameter]:
        """One for each, and for the data the word without an option."""
        found = [_parameter(one.name, _option(one), one.typed, one.default) for one in self.fields]
        is_of_data = any(one.name == "data" for one in self.fields)
        return [_parameter("given", _GIVEN, str | None, None), *found] if is_of_data else found

    def record(self, values: dict[str, Any]) -> Words:
        """What was typed, taken out of what a command was called with."""
        values.pop("given", None)  # it is in `data`
        return Words({one.name: values.pop(one.name) for one in self.fields})


def _parameter(name: str, option: Any, typed: Any, default: Any) -> inspect.Parameter:
    shown = None if default == () else default
    kind = inspect.Parameter.KEYWORD_ONLY
    return inspect.Parameter(name, kind, default=shown, annotation=Annotated[typed, option])


def _option(one: Declared) -> Any:
    completes: Callable[..., list[str]] | None = one.ask.completes and getattr(
        completion, one.ask.completes
    )
    return Option(
        f"--{one.option}",
        help=one.ask.help,
        metavar=one.ask.metavar,
        rich_help_panel=one.ask.group,
        autocompletion=completes,
        callback=_data_given if one.name == "data" else None,
    )


def _note_given(context: Context, value: str | None) -> None:
    context.meta[completion.GIVEN] = value


def _data_given(context: Context, value: str | None) -> str | None:
    """What the word without an option says is --data. Raises DataTwice."""
    from agnews_cli.errors import DataTwice

    given: str | None = context.meta.get(completion.GIVEN)
    source = context.get_parameter_source("data")
    is_typed = source is not None and source.name == "COMMANDLINE"  # and not --config's
    if given is not None and is_typed and value != given:
        raise DataTwice(given=given, option=value, command=context.command_path)
    return value if given is None else given


_GIVEN = Argument(
    help="The same as --data.",
    metavar="[DATA]",
    is_eager=True,
    expose_value=False,
    callback=_note_given,
)

_OF_TRAINING = ("test_share", "unlabelled", "limit_train", "id_column")

Asked = Annotated[Words, Options(asking.every())]
AskedData = Annotated[Words, Options(asking.of_group(asking.DATA))]
"""Which data, and how they are read."""
AskedRows = Annotated[
    Words,
    Options(tuple(o for o in asking.of_group(asking.DATA) if o.name not in _OF_TRAINING)),
]
"""Which data, and how they are read, where nothing is held out and nothing trained."""
AskedAdvice = Annotated[
    Words,
    Options(
        (
            *(o for o in asking.of_group(asking.DATA) if o.name not in _OF_TRAINING),
            *asking.named("goal"),
        )
    ),
]
"""Which data, how they are read, and what to aim for."""
AskedTraining = Annotated[
    Words, Options(asking.named("model", "epochs", "lr", "batch_size", "settings"))
]
"""How a preset is changed."""
AskedStudent = Annotated[
    Words,
    Options(
        tuple(o for o in asking.every() if o.name not in ("preset", "model", "goal", "budget_s"))
    ),
]
"""All but who learns: `agnews distill` names that itself, and takes no budget."""
AskedSession = Annotated[
    Words, Options(tuple(one for one in asking.FIELDS[SessionOptions] if one.name != "fresh"))
]
"""What may differ when a run goes on."""
AskedJoin = Annotated[
    Words,
    Options(
        (*(o for o in asking.FIELDS[SessionOptions] if o.name != "fresh"), *asking.named("justify"))
    ),
]
"""The same, and why so many models are joined."""


def process_start_s() -> float:
    """When this process began, on the monotonic clock: imports are part of the user's budget."""
    import psutil

    age_s = time.time() - psutil.Process().create_time()
    return time.monotonic() - min(max(age_s, 0.0), 60.0)
