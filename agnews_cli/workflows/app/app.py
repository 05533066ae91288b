"""`agnews app`: everything is checked first, then the port is taken, then the model is loaded."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from agnews_cli.core.machine.terms import refuse_if_forbidden
from agnews_cli.errors import ExtraMissing
from agnews_cli.host.detect import detect
from agnews_cli.host.predictor import stoppable
from agnews_cli.store.model import delivered
from agnews_cli.store.model.delivered import Delivered
from agnews_cli.workflows.app import page
from agnews_cli.workflows.app.asking import MOST_BYTES, AppModel
from agnews_cli.workflows.runs import history
from agnews_cli.workflows.serving import listening
from agnews_cli.workflows.serving.asked_model import AskedModel

LOOPBACK, PORT = "127.0.0.1", 7860
_KEPT = "nothing that was asked is kept"
_OURS = "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; frame-ancestors 'self'"
"""Browsers ask nobody else for anything; Gradio's page runs scripts that it makes."""


@dataclass(frozen=True, slots=True)
class AppRequest:
    """Which model is shown, and where."""

    run: str
    host: str = LOOPBACK
    port: int = PORT
    store: Path | None = None


@dataclass(frozen=True, slots=True)
class AppPlan:
    """A checked request, whose port is taken."""

    model: Delivered
    listener: socket.socket
    warnings: tuple[str, ...]

    @property
    def url(self) -> str:
        return listening.url(self.listener)

    def lines(self) -> tuple[str, ...]:
        """Said when the model answers."""
        return (listening.answers_at(self.model.name, self.listener),)

    def as_json(self) -> dict[str, Any]:
        return {
            "schema": "agnews.app/1",
            "url": self.url,
            "model": self.model.name,
            "classes": list(self.model.labels),
        }


def prepare(request: AppRequest) -> AppPlan:
    """Raises ForbiddenByTerms, ExtraMissing, what `delivered.find` raises, PortTaken or
    CannotListen."""
    machine = detect()
    refuse_if_forbidden("serve", machine.name, machine.tier)
    require_gradio()
    model = delivered.find(history.where(request.store), request.run)
    listener = listening.bound(request.host, request.port, word=request.run, command="app")
    warnings = ["whoever reaches this address may ask the model"]
    return AppPlan(model, listener, tuple(warnings * listening.is_for_all(listener)))


def require_gradio() -> None:
    """Raises ExtraMissing."""
    if find_spec("gradio") is None:
        raise ExtraMissing(extra="app", module="gradio")


def carry_out(plan: AppPlan, ready: Callable[[], None]) -> None:
    """Answer until a signal comes. `ready` is called when the model answers.

    Raises Terminated, Interrupted or ReaderGone, for it ends by those alone, and what loading the
    model raises.
    """
    with TemporaryDirectory(prefix="agnews-app-") as work, stoppable(_KEPT):
        page.quiet(Path(work))
        asking = AppModel(plan.model, AskedModel(plan.model), Path(work))
        try:
            asking.start()
            asyncio.run(_serve(plan, asking, ready))
        finally:
            asking.close()
            plan.listener.close()


async def _serve(plan: AppPlan, asking: AppModel, ready: Callable[[], None]) -> None:
    import uvicorn

    class AppServer(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            ready()

    logging.getLogger("uvicorn").setLevel(logging.CRITICAL + 1)  # what matters is said elsewhere
    config = uvicorn.Config(
        web(asking),
        loop="asyncio",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=1,  # a page that is open holds a connection
    )
    await AppServer(config).serve(sockets=[plan.listener])


def web(asking: AppModel) -> Any:
    """FastAPI: the page at `/`."""
    import gradio
    from fastapi import FastAPI

    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)

    @app.middleware("http")
    async def ours(request: Any, call: Callable[[Any], Any]) -> Any:
        answer = await call(request)
        answer.headers["content-security-policy"] = _OURS
        answer.headers["referrer-policy"] = "no-referrer"
        return answer

    return gradio.mount_gradio_app(
        app,
        page.page(asking),
        path="/",
        max_file_size=MOST_BYTES,
        mcp_server=False,
        enable_monitoring=False,
        **page.shown(),
    )
