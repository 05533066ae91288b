"""`agnews serve`: everything is checked first, then the port is taken, then the model is loaded."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agnews_cli.core.machine.terms import refuse_if_forbidden
from agnews_cli.core.serving.limits import ServingLimits
from agnews_cli.core.serving.shift import ExpectedClasses, expected
from agnews_cli.errors import (
    AgnewsError,
    BadToken,
    CannotRead,
    ExtraMissing,
    FileMissing,
    Interrupted,
    ReaderGone,
    Terminated,
)
from agnews_cli.host.detect import detect
from agnews_cli.store.disk import files, private
from agnews_cli.store.model import delivered
from agnews_cli.store.model.delivered import Delivered
from agnews_cli.store.run.runs import RunFolder
from agnews_cli.store.settings import secrets
from agnews_cli.workflows.runs import history
from agnews_cli.workflows.serving import listening, web
from agnews_cli.workflows.serving.answering import Answering
from agnews_cli.workflows.serving.asked_model import AskedModel
from agnews_cli.workflows.serving.batches import Asking, Batches
from agnews_cli.workflows.serving.door import Door
from agnews_cli.workflows.serving.listening import Heard
from agnews_cli.workflows.serving.measures import Measures
from agnews_cli.workflows.serving.standing import ServerState

if TYPE_CHECKING:
    from uvicorn import Server

LOOPBACK = "127.0.0.1"
PORT = 8000
TOKEN = "AGNEWS_SERVE_TOKEN"
"""The variable that holds a token."""
_LEAST_TOKEN, _MOST_TOKEN_BYTES = 16, 4096
_MODULES = ("fastapi", "uvicorn", "prometheus_client")
_ENDS: Mapping[int, type[Interrupted]] = {signal.SIGTERM: Terminated, signal.SIGHUP: ReaderGone}

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class ServeRequest:
    """What is to answer, where, and to whom."""

    run: str
    host: str = LOOPBACK
    port: int = PORT
    token_file: Path | None = None
    limits: ServingLimits = field(default_factory=ServingLimits)
    store: Path | None = None


@dataclass(frozen=True, slots=True)
class ServingPlan:
    """A checked request, whose port is taken."""

    model: Delivered
    listener: socket.socket
    token: str | None
    expected: ExpectedClasses | None
    limits: ServingLimits
    warnings: tuple[str, ...]

    @property
    def url(self) -> str:
        return listening.url(self.listener)

    def lines(self) -> tuple[str, ...]:
        """Said when the model answers."""
        shift = "unknown, for there is no evaluation beside the model"
        if self.expected is not None:
            shift = f"against what the model {self.expected.source}"
        return (
            listening.answers_at(self.model.name, self.listener),
            f"token  {'needed' if self.token else 'none is asked for'}",
            f"shift  {shift}",
            f"pages  {self.url}/docs, /predict, /batch, /health, /ready, /metrics",
        )

    def as_json(self) -> dict[str, Any]:
        return {
            "schema": "agnews.serving/1",
            "url": self.url,
            "model": self.model.name,
            "classes": list(self.model.labels),
            "needs_token": self.token is not None,
            "expected": None if self.expected is None else self.expected.source,
        }


def prepare(request: ServeRequest) -> ServingPlan:
    """Raises ForbiddenByTerms, ExtraMissing, what `delivered.find` raises, BadToken, PortTaken or
    CannotListen."""
    machine = detect()
    refuse_if_forbidden("serve", machine.name, machine.tier)
    for module in _MODULES:
        if find_spec(module) is None:
            raise ExtraMissing(extra="serve", module=module)
    model = delivered.find(history.where(request.store), request.run)
    evaluation = RunFolder(model.folder).evaluated() if model.is_run else None
    known = expected(evaluation)
    if known is not None and len(known.shares) != len(model.labels):
        known = None
    token = _token(request.token_file)
    listener = listening.bound(request.host, request.port, word=request.run)
    warnings = []
    if token is None and listening.is_for_all(listener):
        warnings.append("whoever reaches this address may ask the model: no --token-file is given")
    return ServingPlan(model, listener, token, known, request.limits, tuple(warnings))


def _token(path: Path | None) -> str | None:
    """Of the file, else of the environment. Raises BadToken, FileMissing or CannotRead."""
    source = f"--token-file {path}" if path is not None else TOKEN
    if path is None:
        given = os.environ.get(TOKEN)
    else:
        try:
            data = files.read_plain(path, _MOST_TOKEN_BYTES, follows=True)
        except FileNotFoundError:
            raise FileMissing(path=path) from None
        except OSError as error:
            raise CannotRead(path=path, reason=error.strerror or error) from None
        given = data.decode("utf-8", "replace")
    if given is None:
        return None
    token = given.strip()
    if len(token) < _LEAST_TOKEN or len(token.split()) != 1 or not token.isascii():
        raise BadToken(source=source, least=_LEAST_TOKEN)
    return token


# ---- the work -----------------------------------------------------------------------------------


def carry_out(plan: ServingPlan, ready: Callable[[], None], warn: Say) -> None:
    """Answer until a signal comes. `ready` is called when the model answers, `warn` hears trouble.

    Raises Terminated, Interrupted or ReaderGone, for it ends by those alone, and what loading the
    model raises.
    """
    model = AskedModel(plan.model)
    thread = ThreadPoolExecutor(1, thread_name_prefix="model")
    try:
        heard = asyncio.run(_serve(plan, model, thread, ready, warn))
    finally:
        model.close()
        thread.shutdown()
        plan.listener.close()
    kind = _ENDS.get(heard.number or 0, Interrupted)
    kept = "every request that had come was answered"
    if heard.cut:
        kept = f"{heard.cut} requests were not answered"
    raise kind(kept=kept, next="")


@dataclass(frozen=True, slots=True)
class ServerParts:
    """Of one server, made for each other."""

    state: ServerState
    batches: Batches
    door: Door
    server: Server
    heard: Heard


def parts(
    plan: ServingPlan, ask: Asking, thread: ThreadPoolExecutor, failed: Callable[[Exception], None]
) -> ServerParts:
    """`ask` is called in `thread` alone; `failed` hears of trouble, and must not raise."""
    state, heard, name = ServerState(), Heard(), plan.model.name
    measures = Measures(name, plan.model.labels, plan.expected)
    batches = Batches(ask, thread, plan.limits, measures, failed)
    answering = Answering(plan.model, batches, plan.limits)
    door = Door(
        web.app(name, state, answering, measures, plan.limits),
        plan.limits,
        measures,
        token=plan.token,
        is_ready=lambda: state.is_ready,
        failed=failed,
    )
    measures.watch(lambda: batches.texts, lambda: door.under_way)
    server = listening.server(door, state, plan.limits, heard)
    return ServerParts(state, batches, door, server, heard)


async def _serve(
    plan: ServingPlan, model: AskedModel, thread: ThreadPoolExecutor, ready: Callable[[], None],
    warn: Say,
) -> Heard:  # fmt: skip
    made = parts(plan, model.ask, thread, _Told(warn))
    fault: list[Exception] = []

    async def load() -> None:
        try:
            await asyncio.get_running_loop().run_in_executor(thread, model.open)
            if made.heard.number is None:
                made.state.word = "ready"
                ready()
        except Exception as error:
            if made.heard.number is None:  # else it was ended with the rest
                fault.append(error)
            made.server.should_exit = True

    tasks = [asyncio.create_task(load()), asyncio.create_task(made.batches.run())]
    try:
        await made.server.serve(sockets=[plan.listener])
    finally:
        model.close()  # whoever waits for it in the thread is told
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    if fault:
        raise fault[0]
    return made.heard


class _Told:
    """Says each kind of trouble once: a server that is asked the same for hours fills no log."""

    def __init__(self, warn: Say) -> None:
        self._warn = warn
        self._said: set[str] = set()

    def __call__(self, error: Exception) -> None:
        what = error.message if isinstance(error, AgnewsError) else f"{type(error).__name__}"
        if what in self._said:
            return
        self._said.add(what)
        if not isinstance(error, AgnewsError):
            what = f"an error of agnews's own, {what}; the details are in {kept(error)}"
        self._warn(what)


def kept(error: Exception) -> str:
    """The file with its details, for whoever runs the server."""
    import traceback

    try:
        text = "".join(traceback.format_exception(error))
        return str(private.note(secrets.hidden(text), kind="error"))
    except OSError as fault:  # no room for it, or nowhere to write
        return f"no file ({fault.strerror or fault})"
