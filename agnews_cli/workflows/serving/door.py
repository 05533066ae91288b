"""What every request passes before the model hears of it: who asks, how often, and how much.

ASGI, outside the framework, so that a body that is too long or too slow is given up while it is
read, and what goes wrong inside is no traceback. https://asgi.readthedocs.io/en/latest/specs/www.html
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from agnews_cli.core.serving.limits import ServingLimits
from agnews_cli.core.serving.rate import Allowances
from agnews_cli.workflows.serving.measures import Measures
from agnews_cli.workflows.serving.refused import OF_OUR_OWN, RefusedRequest

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

ASKING = ("/predict", "/batch")
"""Where the model is asked: what is counted by the rate and refused while it is not ready."""
OPEN = ("/health", "/ready", "/docs", "/openapi.json")
"""What needs no token: it tells nothing of any text."""
_ROUTES = (*ASKING, *OPEN, "/metrics")
_BODIES = 16
"""So many of the longest bodies are held at once."""
_LEFT_BYTES = 16 << 20
_LEFT_S = 1.0
"""What is still taken of a body that is refused, and thrown away, so that the client hears why: a
connection that is closed while it still sends may lose the answer."""


class Door:
    """Around `app`. `is_ready`: the model can be asked. `failed` hears what nobody foresaw."""

    def __init__(
        self,
        app: App,
        limits: ServingLimits,
        measures: Measures,
        *,
        token: str | None,
        is_ready: Callable[[], bool],
        failed: Callable[[Exception], None],
    ) -> None:
        self._app, self._limits, self._measures = app, limits, measures
        self._token = None if token is None else _digest(token.encode())
        self._is_ready, self._failed = is_ready, failed
        rate = limits.per_client_per_s
        self._allowances = None if rate is None else Allowances(rate)
        self._held_bytes = 0
        self.under_way = 0
        self.latest_s = 0.0
        """When the latest request came, by the monotonic clock."""
        self.is_ending = False
        """Whether nothing new is begun."""

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        began_s = self.latest_s = time.monotonic()
        status = 500
        has_begun = False

        async def sent(message: Message) -> None:
            nonlocal status, has_begun
            if message["type"] == "http.response.start":
                status, has_begun = message["status"], True
                if self.is_ending:
                    message["headers"] = [*message["headers"], (b"connection", b"close")]
            await send(message)

        self.under_way += 1
        try:
            await self._answer(scope, receive, sent)
        except RefusedRequest as refusal:
            await _refuse(refusal, receive, sent)
        except Exception as error:
            self._failed(error)
            if not has_begun:
                await _refuse(RefusedRequest(500, OF_OUR_OWN), receive, sent)
        finally:
            self.under_way -= 1
            route = scope["path"] if scope["path"] in _ROUTES else "other"
            self._measures.answered(route, status, time.monotonic() - began_s)

    async def _answer(self, scope: Message, receive: Receive, send: Send) -> None:
        """Raises RefusedRequest: 401, 408, 413, 429, 503."""
        path, headers = scope["path"], dict(scope["headers"])
        if path not in OPEN:
            self._require_token(headers.get(b"authorization", b""))
        if path not in ASKING or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        if self.is_ending:
            raise RefusedRequest(503, "the server ends", retry_s=5.0)
        if not self._is_ready():
            raise RefusedRequest(503, "the model is being loaded", retry_s=1.0)
        self._require_allowance(scope)
        body = await self._body(headers, receive)
        self._held_bytes += len(body)
        try:
            await self._app(scope, _replayed(body, receive), send)
        finally:
            self._held_bytes -= len(body)

    def _require_token(self, given: bytes) -> None:
        if self._token is None:
            return
        kind, _, token = given.partition(b" ")
        # Digests are compared, in a time that depends on neither, nor on the token's length.
        is_right = hmac.compare_digest(_digest(token.strip()), self._token)
        if kind.lower() != b"bearer" or not is_right:
            raise RefusedRequest(401, "expected the header Authorization: Bearer TOKEN")

    def _require_allowance(self, scope: Message) -> None:
        if self._allowances is None:
            return
        client = (scope.get("client") or ("",))[0]
        wait_s = self._allowances.wait_s(client, time.monotonic())
        if wait_s:
            bound = f"at most {self._limits.per_client_per_s:g} requests a second"
            raise RefusedRequest(429, bound, retry_s=wait_s)

    async def _body(self, headers: dict[bytes, bytes], receive: Receive) -> bytes:
        most = self._limits.body_bytes
        long = RefusedRequest(413, f"the body is longer than {most:,} bytes")
        if int(headers.get(b"content-length", b"0")) > most:
            raise long
        if self._held_bytes > (_BODIES - 1) * most:
            raise RefusedRequest(503, "too much is being read already", retry_s=1.0)
        parts = bytearray()
        try:
            async with asyncio.timeout(self._limits.slow_s):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise RefusedRequest(400, "the body has no end")
                    parts += message.get("body", b"")
                    if len(parts) > most:
                        raise long
                    if not message.get("more_body", False):
                        return bytes(parts)
        except TimeoutError:
            slow = f"the body did not come within {self._limits.slow_s:g} s"
            raise RefusedRequest(408, slow) from None


def _digest(token: bytes) -> bytes:
    return hashlib.sha256(token).digest()


def _replayed(body: bytes, receive: Receive) -> Receive:
    """The body that was read, once; then what `receive` says, such as that the client has left."""
    left = [body]

    async def again() -> Message:
        if left:
            return {"type": "http.request", "body": left.pop(), "more_body": False}
        return await receive()

    return again


async def _refuse(refusal: RefusedRequest, receive: Receive, send: Send) -> None:
    data = json.dumps({"detail": refusal.detail}).encode()
    told = {"content-type": "application/json", "content-length": str(len(data)), **refusal.headers}
    headers = [(name.encode(), value.encode()) for name, value in told.items()]
    is_unread = refusal.status in (408, 413)
    if is_unread:
        headers.append((b"connection", b"close"))
    is_sending = refusal.status == 413
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": data, "more_body": is_sending})
    if is_sending:
        await _throw_away(receive)
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _throw_away(receive: Receive) -> None:
    left = _LEFT_BYTES
    try:
        async with asyncio.timeout(_LEFT_S):
            while left > 0:
                message = await receive()
                left -= len(message.get("body", b""))
                if not message.get("more_body", False):
                    return
    except TimeoutError:
        return
