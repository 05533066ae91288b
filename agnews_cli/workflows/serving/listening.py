"""The socket of a server, and the HTTP server on it: told to end, it answers what has come."""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import logging
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Any

from agnews_cli.core.serving.limits import ServingLimits
from agnews_cli.errors import CannotListen, PortTaken
from agnews_cli.workflows.serving.door import Door
from agnews_cli.workflows.serving.standing import ServerState

if TYPE_CHECKING:
    from uvicorn import Server

_QUIET_S, _LINGER_S = 0.3, 2.0
"""When all is answered it is waited until nothing has come for so long, for whoever kept a
connection open is to be told; and no longer than that, for some never cease to ask."""
_LEAST_LOOK_S = 0.02
_ALONE = "this machine alone; for others: --host"
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def bound(host: str, port: int, *, word: str, command: str = "serve") -> socket.socket:
    """The socket, bound and not yet listening; port 0 is any free one. `word`: the run, as
    typed, after `command`.

    Raises PortTaken or CannotListen.
    """
    try:
        kinds = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, address = kinds[0]
        found = socket.socket(family, kind, protocol)
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind(address)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise PortTaken(host=host, port=port, command=command, run=word) from None
        raise CannotListen(host=host, port=port, reason=error.strerror or error) from None
    except (OverflowError, UnicodeError) as error:  # no port, no name
        raise CannotListen(host=host, port=port, reason=error) from None
    return found


def is_for_all(listener: socket.socket) -> bool:
    """Whether other machines reach it."""
    return not ipaddress.ip_address(listener.getsockname()[0]).is_loopback


def url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def answers_at(name: str, listener: socket.socket) -> str:
    """Where a model answers, and whom."""
    whom = "other machines reach it" if is_for_all(listener) else _ALONE
    return f"{name} answers at {url(listener)} ({whom})"


class Heard:
    """Which signal asked the server to end."""

    def __init__(self) -> None:
        self.number: int | None = None
        self.cut = 0
        """Requests that were under way when there was no more time."""


def server(door: Door, state: ServerState, limits: ServingLimits, heard: Heard) -> Server:
    """Ready for `serve`; uvicorn, with ends and slow clients as this house has them.

    The first signal: what has come is answered, `/predict` and `/batch` are 503 from now on, and it
    ends when nothing has come for a moment. The second: it ends at once.
    """
    import uvicorn

    logging.getLogger("uvicorn").setLevel(logging.CRITICAL + 1)  # what matters is said elsewhere

    class Ending(uvicorn.Server):
        @contextmanager
        def capture_signals(self) -> Iterator[None]:
            loop = asyncio.get_running_loop()

            def hear(number: int, frame: FrameType | None) -> None:
                loop.call_soon_threadsafe(self.end, number)

            before = {}
            try:
                for number in _SIGNALS:
                    if signal.getsignal(number) is not signal.SIG_IGN:  # as under nohup
                        before[number] = signal.signal(number, hear)
            except ValueError:  # not the main thread: somebody else owns the signals
                pass
            try:
                yield
            finally:
                for number, handler in before.items():
                    signal.signal(number, handler)

        def end(self, number: int) -> None:
            if heard.number is not None:
                self.force_exit = self.should_exit = True
                return
            heard.number = number
            state.word, door.is_ending = "ending", True
            self._ended = asyncio.ensure_future(self._end_in_order())

        async def _end_in_order(self) -> None:
            began_s = time.monotonic()
            give_up_s = began_s + limits.ending_s
            idle_s: float | None = None
            while (now_s := time.monotonic()) < give_up_s and not self.should_exit:
                if door.under_way == 0:
                    idle_s = idle_s or now_s
                    is_quiet = now_s - max(door.latest_s, began_s) > _QUIET_S
                    if is_quiet or now_s - idle_s > _LINGER_S:
                        break
                await asyncio.sleep(_LEAST_LOOK_S)
            heard.cut = door.under_way
            self.should_exit = True

    config = uvicorn.Config(
        door,
        http=_unhurried(limits.slow_s),
        loop="asyncio",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # a client could be anybody
        limit_concurrency=limits.connections,
        timeout_graceful_shutdown=1,
    )
    return Ending(config)


def _unhurried(slow_s: float) -> type[asyncio.Protocol]:
    """The protocol whose connections are closed where a request's head takes longer than that:
    uvicorn itself waits for ever, once the first byte has come."""
    from uvicorn.protocols.http.h11_impl import H11Protocol

    class Bounded(H11Protocol):
        _late: asyncio.TimerHandle | None = None

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self._late = self.loop.call_later(slow_s, self._give_up)

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if self._is_asked:
                self._forget()
            elif self._late is None:
                self._late = self.loop.call_later(slow_s, self._give_up)

        def connection_lost(self, exc: Exception | None) -> None:
            self._forget()
            super().connection_lost(exc)

        @property
        def _is_asked(self) -> bool:
            return self.cycle is not None and not self.cycle.response_complete

        def _forget(self) -> None:
            if self._late is not None:
                self._late.cancel()
                self._late = None

        def _give_up(self) -> None:
            self._late = None
            if not self._is_asked:
                self.transport.close()

    return Bounded
