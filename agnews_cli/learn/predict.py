"""Entry point for prediction: chunks of texts come by a pipe, probabilities go back by another.

The messages are those of `core.run.prediction`. Nothing is written to the disk, and the process
ends with the command that started it, however that ends.
"""

from __future__ import annotations

import os
import queue
import signal
import sys
import threading
import time
import traceback
from collections.abc import Sequence
from typing import IO

import numpy as np
from numpy.typing import NDArray

from agnews_cli.core.run.evaluation import Interval
from agnews_cli.core.run.job import Failure
from agnews_cli.core.run.prediction import Answer, Figures, Order, Texts
from agnews_cli.errors import AgnewsError, PredictionTooLarge
from agnews_cli.host.children import end_with
from agnews_cli.learn.door.memory import is_of_memory
from agnews_cli.learn.predictor import first_line, open_delivery
from agnews_cli.learn.trials.inside import Inside

_TOLD_EVERY_S = 0.5


def _failure(error: BaseException) -> Answer:
    known = PredictionTooLarge(reason=first_line(error)) if is_of_memory(error) else error  # type: ignore[arg-type]
    if isinstance(known, AgnewsError):
        words = Failure(
            kind=type(known).__name__,
            message=known.message,
            hint=known.advice,
            exit_code=known.exit_code,
        )
        return Answer(kind="failure", failure=words)
    message = f"{type(error).__name__}: {error}"
    words = Failure(kind=type(error).__name__, message=message, hint="", exit_code=1)
    trace = "".join(traceback.format_exception(error))
    return Answer(kind="failure", failure=words, trace=trace)


# ---- the process --------------------------------------------------------------------------------


def read_messages(source: IO[bytes], inbox: queue.Queue[bytes]) -> None:
    """Put every line into `inbox`. It ends only with the command, and this process with it."""
    for line in source:
        inbox.put(line)
    os._exit(1)


def serve(inbox: queue.Queue[bytes], sink: IO[bytes]) -> None:
    """Load what the first line orders, and answer every chunk."""

    def say(answer: Answer, probabilities: bytes = b"") -> None:
        sink.write(answer.model_dump_json(exclude_defaults=True).encode() + b"\n" + probabilities)
        sink.flush()

    said_s = time.monotonic()

    def told(rows: int) -> None:
        nonlocal said_s
        if time.monotonic() - said_s >= _TOLD_EVERY_S:
            said_s = time.monotonic()
            say(Answer(kind="progress", rows=rows))

    try:
        order = Order.model_validate_json(inbox.get())
        predict = open_delivery(order)
        say(Answer(kind="progress"))
        marks, inside = _Marks(order.labels), None
        while not (chunk := Texts.model_validate_json(inbox.get())).is_end:
            if chunk.is_look:
                inside = inside or Inside(order, predict)
                looks = inside(chunk.texts, ("",) * len(chunk.texts))
                say(Answer(kind="looks", looks=tuple(looks)))
                continue
            found = np.ascontiguousarray(predict(chunk.texts, told), dtype=np.float32)
            marks.add(found, chunk.classes)
            say(Answer(kind="rows", rows=len(found)), found.tobytes())
        say(Answer(kind="end", figures=marks.figures()))
    except BrokenPipeError:
        os._exit(1)
    except BaseException as error:
        say(_failure(error))


class _Marks:
    """Answers and true classes, for the figures at the end: eight bytes a row."""

    def __init__(self, labels: Sequence[str]) -> None:
        self._labels = labels
        self._predicted: list[NDArray[np.int32]] = []
        self._classes: list[NDArray[np.int32]] = []

    def add(self, probabilities: NDArray[np.floating], classes: Sequence[int]) -> None:
        true = np.asarray(classes, dtype=np.int32)
        known = np.flatnonzero(true >= 0)
        if len(known):
            self._predicted.append(probabilities[known].argmax(1).astype(np.int32))
            self._classes.append(true[known])

    def figures(self) -> Figures | None:
        if not self._classes:
            return None
        from agnews_cli.learn.figures.evaluate import evaluate

        predicted, classes = np.concatenate(self._predicted), np.concatenate(self._classes)
        sure = np.eye(len(self._labels), dtype=np.int8)[predicted]
        found = evaluate(sure, classes.astype(np.int64), self._labels)  # type: ignore[arg-type]
        return Figures(
            rows=len(classes),
            right=int((predicted == classes).sum()),
            accuracy=Interval.model_validate(found.accuracy),
            macro_f1=Interval.model_validate(found.macro_f1),
        )


def main(argv: list[str]) -> None:
    """PARENT_PID"""
    # Libraries print and ask: what they would meet at 0 and 1 are not the messages.
    source, sink = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nowhere, 0)
    os.dup2(2, 1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a stop is the command's to give
    end_with(int(argv[1]))  # where the system cannot, the end of standard input does it
    inbox: queue.Queue[bytes] = queue.Queue()
    threading.Thread(target=read_messages, args=(source, inbox), daemon=True).start()
    serve(inbox, sink)


if __name__ == "__main__":
    main(sys.argv)
