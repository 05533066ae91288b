"""The process that predicts: texts go to it by a pipe, probabilities come back by another.

It never outlives the command: it is ended when the `with` block is left, and if this process is
killed it ends by itself, as its standard input ends.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from array import array
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from types import FrameType
from typing import IO, Protocol, TypeVar

from pydantic import ValidationError

from agnews_cli.core.machine.accelerator import Kind
from agnews_cli.core.run.job import Failure
from agnews_cli.core.run.looked_at import LookedAt
from agnews_cli.core.run.prediction import Answer, Figures, Order, Texts
from agnews_cli.errors import (
    InternalError,
    Interrupted,
    PredictorDied,
    ReaderGone,
    ReportedError,
    Terminated,
)
from agnews_cli.host import children
from agnews_cli.host.launch import environment

_AHEAD = 2
"""Chunks that are on the way, so that neither side waits for the other."""
_LAST_WORDS_BYTES = 4000
_STOPS: Mapping[int, type[Interrupted]] = {signal.SIGTERM: Terminated, signal.SIGHUP: ReaderGone}


class Chunk(Protocol):
    @property
    def texts(self) -> Sequence[str]: ...

    @property
    def classes(self) -> Sequence[int]: ...


SomeChunk = TypeVar("SomeChunk", bound=Chunk)
Probabilities = Sequence[Sequence[float]]


class Predictor:
    """A model in a process of its own, ready for texts. Use it as a context."""

    def __init__(self, order: Order, *, cpu_count: int, kind: Kind) -> None:
        self._classes = len(order.labels)
        self.figures: Figures | None = None
        """Once all answers have come: how they compare with the classes that were given."""
        self._process = children.start(
            children.module("agnews_cli.learn.predict", str(os.getpid())),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(cpu_count, kind),
            start_new_session=True,
        )
        assert self._process.stdin and self._process.stdout and self._process.stderr
        self._to, self._from = self._process.stdin, self._process.stdout
        self._last_words = bytearray()
        self._listener = threading.Thread(
            target=self._listen, args=(self._process.stderr,), daemon=True
        )
        self._listener.start()
        self._send(order.model_dump_json())

    def __enter__(self) -> Predictor:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        self._listener.join(1.0)
        for pipe in (self._to, self._from, self._process.stderr):
            with suppress(OSError):
                if pipe is not None:
                    pipe.close()

    def ask(self, texts: Sequence[str]) -> Probabilities:
        """The class probabilities of one chunk, in order; the process stays for the next one.

        Raises like `answers`.
        """
        self._send(Texts(texts=tuple(texts), classes=(-1,) * len(texts)).model_dump_json())
        return self._probabilities(lambda rows: None)

    def look(self, texts: Sequence[str]) -> tuple[LookedAt, ...]:
        """What of each text its answer rests on. Raises like `answers`."""
        message = Texts(texts=tuple(texts), classes=(-1,) * len(texts), is_look=True)
        self._send(message.model_dump_json())
        while (answer := self._answer()).kind == "progress":
            pass
        return answer.looks

    def answers(
        self, chunks: Iterable[SomeChunk], told: Callable[[int], None] = lambda rows: None
    ) -> Iterator[tuple[SomeChunk, Probabilities]]:
        """Each chunk with its texts' class probabilities, in order; `figures` is there after.

        `told` hears how many rows of the next chunk are done. Raises PredictorDied, InternalError
        and what the process itself put into words.
        """
        sent: deque[SomeChunk] = deque()
        for chunk in chunks:
            message = Texts(texts=tuple(chunk.texts), classes=tuple(chunk.classes))
            self._send(message.model_dump_json())
            sent.append(chunk)
            if len(sent) > _AHEAD:
                yield sent.popleft(), self._probabilities(told)
        self._send(Texts(is_end=True).model_dump_json())
        while sent:
            yield sent.popleft(), self._probabilities(told)
        self.figures = self._answer().figures

    def _probabilities(self, told: Callable[[int], None]) -> Probabilities:
        while (answer := self._answer()).kind == "progress":
            told(answer.rows)
        numbers = array("f")
        data = self._from.read(answer.rows * self._classes * numbers.itemsize)
        numbers.frombytes(data)
        if len(numbers) != answer.rows * self._classes:
            raise self._death()
        width = self._classes
        return [numbers[at : at + width] for at in range(0, len(numbers), width)]

    def _answer(self) -> Answer:
        line = self._from.readline()
        if not line:
            raise self._death()
        try:
            answer = Answer.model_validate_json(line)
        except ValidationError as error:
            raise InternalError(what="the predicting process spoke nonsense", log=error) from None
        if answer.failure is not None:
            raise in_words(answer.failure, answer.trace)
        return answer

    def _send(self, message: str) -> None:
        try:
            self._to.write(message.encode() + b"\n")
            self._to.flush()
        except OSError:  # it has ended: its last answer says why
            while True:
                self._answer()

    def _death(self) -> PredictorDied:
        code = self._process.wait()
        self._listener.join(1.0)
        if code == -signal.SIGKILL:
            how = "SIGKILL, often the system ending a process that used too much memory"
        else:
            said = self._last_words.decode("utf-8", "replace").strip().splitlines()
            how = (signal.Signals(-code).name if code < 0 else f"exit code {code}") + (
                f": {said[-1]}" if said else ""
            )
        return PredictorDied(how=how)

    def _listen(self, errors: IO[bytes]) -> None:
        with suppress(OSError, ValueError):
            while data := os.read(errors.fileno(), 4096):
                self._last_words += data
                del self._last_words[:-_LAST_WORDS_BYTES]


def in_words(failure: Failure, trace: str) -> ReportedError | InternalError:
    """What a process of ours failed of; its traceback, where it has one, goes to a file."""
    if not trace:
        return ReportedError(failure.message, failure.hint, failure.exit_code, failure.kind)
    from agnews_cli.store.disk import private
    from agnews_cli.store.settings import secrets

    try:
        log = str(private.note(secrets.hidden(trace), kind="error"))
    except OSError as fault:  # no room for it, or nowhere to write
        log = f"no file ({fault.strerror or fault})"
    return InternalError(what=failure.message, log=log)


@contextmanager
def stoppable(kept: str) -> Iterator[None]:
    """Ctrl-C, SIGTERM and SIGHUP end what is going on in good order, each with its own words.

    Raises Interrupted, Terminated or ReaderGone; `kept` says what is there then.
    """
    kind: type[Interrupted] = Interrupted

    def stop(number: int, frame: FrameType | None) -> None:
        nonlocal kind
        kind = _STOPS.get(number, Interrupted)
        for each in before:
            signal.signal(each, signal.SIG_IGN)  # once: tidying up is not to be disturbed
        raise KeyboardInterrupt

    before = {}
    try:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:  # as under nohup
                before[number] = signal.signal(number, stop)
    except ValueError:  # not the main thread: somebody else owns the signals
        pass
    try:
        yield
    except KeyboardInterrupt:
        raise kind(kept=kept, next="") from None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
