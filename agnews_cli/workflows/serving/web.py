"""The routes, and the page that describes them."""

from __future__ import annotations

from typing import Any

from agnews_cli.core.serving.limits import ServingLimits
from agnews_cli.workflows.serving.answering import Answering
from agnews_cli.workflows.serving.door import App
from agnews_cli.workflows.serving.measures import Measures
from agnews_cli.workflows.serving.refused import OF_OUR_OWN, RefusedRequest
from agnews_cli.workflows.serving.standing import ServerState
from agnews_cli.workflows.serving.words import (
    BatchAnswer,
    BatchBody,
    PredictAnswer,
    PredictBody,
    Refusal,
    Standing,
)

_SHOWN = 5
_REFUSALS = {
    401: "a token is needed, or it is another one",
    408: "the body comes too slowly",
    413: "more or longer texts than the server takes",
    429: "more requests than a client may send",
    503: "not ready, too busy, or about to end",
}


def app(
    model: str, state: ServerState, answering: Answering, measures: Measures, limits: ServingLimits
) -> App:
    """Whatever passes the door. `model` is its name."""
    from fastapi import FastAPI, Response
    from fastapi.exceptions import RequestValidationError
    from fastapi.responses import JSONResponse

    import agnews_cli

    web = FastAPI(
        title=f"agnews: {model}",
        version=agnews_cli.__version__,
        description=f"A text's class, and how sure the model is. A body has at most "
        f"{limits.body_bytes:,} bytes, a text {limits.characters:,} characters.",
        redoc_url=None,
        openapi_url="/openapi.json",
        docs_url="/docs",
    )
    refusals: dict[int | str, dict[str, Any]] = {
        status: {"model": Refusal, "description": why} for status, why in _REFUSALS.items()
    }

    @web.post("/predict", responses=refusals, summary=f"Up to {limits.predict_texts} texts")
    async def predict(body: PredictBody) -> PredictAnswer:
        return await answering.predict(body.all)

    @web.post("/batch", responses=refusals, summary=f"Up to {limits.batch_texts:,} texts")
    async def batch(body: BatchBody) -> BatchAnswer:
        return await answering.batch(body.texts)

    @web.get("/health", summary="Whether the server lives")
    async def health() -> Standing:
        return Standing(state="alive", model=model)

    @web.get("/ready", summary="Whether the model can be asked", responses={503: {}})
    async def ready() -> Any:
        standing = Standing(state=state.word, model=model)
        return JSONResponse(standing.model_dump(), 200 if state.is_ready else 503)

    @web.get("/metrics", summary="For Prometheus", response_model=None)
    async def metrics() -> Any:
        text, kind = measures.page()
        return Response(text, media_type=kind)

    @web.exception_handler(RequestValidationError)
    async def unreadable(request: object, error: RequestValidationError) -> Any:
        """Without what was sent: it may be long, and no text is repeated."""
        kept = ("loc", "msg", "type")
        found = [{name: each[name] for name in kept} for each in error.errors()[:_SHOWN]]
        return JSONResponse({"detail": found}, 422)

    @web.exception_handler(RefusedRequest)
    async def refused(request: object, error: RefusedRequest) -> Any:
        return JSONResponse({"detail": error.detail}, error.status, headers=error.headers)

    @web.exception_handler(Exception)  # which the door hears of besides
    async def unforeseen(request: object, error: Exception) -> Any:
        return JSONResponse({"detail": OF_OUR_OWN}, 500)

    return web
