"""Entry point for an export: one order as an argument; events, and what came of it, a line each.

It writes into the folder that the order names and nowhere else, and ends with the command that
started it, however that ends: the command alone makes a folder of it that counts.
"""

from __future__ import annotations

import os
import signal
import sys
import time
import traceback
from datetime import UTC, datetime
from typing import IO, Any

from agnews_cli.core.run.export import ExportAnswer, ToExport
from agnews_cli.core.run.job import Event, Failure
from agnews_cli.errors import AgnewsError, ExtraMissing, PredictionTooLarge
from agnews_cli.host.children import end_with
from agnews_cli.learn.door.memory import is_of_memory
from agnews_cli.learn.predictor import first_line
from agnews_cli.store.settings.secrets import hidden


class EventPipe:
    """Says events on the pipe, as a run's log does on the disk."""

    def __init__(self, sink: IO[bytes]) -> None:
        self._sink, self._began_s = sink, time.monotonic()

    def __call__(self, kind: Any, **data: Any) -> None:
        took_s = round(time.monotonic() - self._began_s, 3)
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        event = Event(kind=kind, at=now, elapsed_s=took_s, data=data)
        self.say(ExportAnswer(kind="event", event=event))

    def say(self, answer: ExportAnswer) -> None:
        self._sink.write(answer.model_dump_json(exclude_defaults=True).encode() + b"\n")
        self._sink.flush()


def _failure(error: Exception) -> ExportAnswer:
    known: Exception = error
    if is_of_memory(error):
        known = PredictionTooLarge(reason=first_line(error))
    elif isinstance(error, ModuleNotFoundError) and error.name:
        known = ExtraMissing(extra="train", module=error.name)
    if isinstance(known, AgnewsError):
        failure = Failure(
            kind=type(known).__name__,
            message=hidden(known.message),
            hint=hidden(known.advice),
            exit_code=known.exit_code,
        )
        return ExportAnswer(kind="failure", failure=failure)
    message = f"{type(error).__name__}: {first_line(error)}"
    failure = Failure(kind=type(error).__name__, message=message, hint="", exit_code=1)
    trace = "".join(traceback.format_exception(error))
    return ExportAnswer(kind="failure", failure=failure, trace=trace)


def main(argv: list[str]) -> None:
    """ORDER PARENT_PID"""
    sink = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # libraries print, too
    from agnews_cli.learn.door.events import StopFlag

    stop = StopFlag()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a stop is the command's to give
    end_with(int(argv[2]))
    told = EventPipe(sink)
    try:
        from agnews_cli.learn.door.notes import Notes
        from agnews_cli.learn.stages import export

        order = ToExport.model_validate_json(argv[1])
        told("phase", name="loading torch")
        exported = export.make(order, stop, Notes(told))  # type: ignore[arg-type]
        told.say(ExportAnswer(kind="end", exported=exported))
    except BrokenPipeError:
        os._exit(1)
    except Exception as error:
        told.say(_failure(error))


if __name__ == "__main__":
    main(sys.argv)
