"""The process that exports: told once, it tells how far it is, and never outlives the command."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import IO

from pydantic import ValidationError

from agnews_cli.core.machine.accelerator import Kind
from agnews_cli.core.run.export import ExportAnswer, Exported, ToExport
from agnews_cli.core.run.job import Event
from agnews_cli.errors import ExporterDied, InternalError
from agnews_cli.host import children
from agnews_cli.host.launch import environment
from agnews_cli.host.predictor import in_words

_LAST_LINES = 20


def export(
    order: ToExport, *, cpu_count: int, kind: Kind, show: Callable[[Event], None]
) -> Exported:
    """Do it in a process of its own. `show` hears its events.

    Raises ExporterDied, InternalError, and what the process put into words (ReportedError).
    """
    process = children.start(
        children.module("agnews_cli.learn.export", order.model_dump_json(), str(os.getpid())),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(cpu_count, kind),
        start_new_session=True,
    )
    assert process.stdout and process.stderr
    words: deque[bytes] = deque(maxlen=_LAST_LINES)
    listener = threading.Thread(target=_listen, args=(process.stderr, words), daemon=True)
    listener.start()
    try:
        for line in process.stdout:
            answer = _read(line)
            if answer.event is not None:
                show(answer.event)
            elif answer.failure is not None:
                raise in_words(answer.failure, answer.trace)
            elif answer.exported is not None:
                return answer.exported
        raise _death(process, listener, words)
    finally:
        process.kill()
        process.wait()
        listener.join(1.0)
        for pipe in (process.stdout, process.stderr):
            with suppress(OSError):
                pipe.close()


def _read(line: bytes) -> ExportAnswer:
    try:
        return ExportAnswer.model_validate_json(line)
    except ValidationError as error:
        raise InternalError(what="the exporting process spoke nonsense", log=error) from None


def _listen(errors: IO[bytes], words: deque[bytes]) -> None:
    with suppress(OSError, ValueError):
        words.extend(errors)


def _death(
    process: subprocess.Popen[bytes], listener: threading.Thread, words: deque[bytes]
) -> ExporterDied:
    code = process.wait()
    listener.join(1.0)
    if code == -signal.SIGKILL:
        how = "SIGKILL, often the system ending a process that used too much memory"
    else:
        said = [line.decode("utf-8", "replace").strip() for line in words]
        last = next((line for line in reversed(said) if line), "")
        name = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        how = f"{name}: {last}" if last else name
    return ExporterDied(how=how)
