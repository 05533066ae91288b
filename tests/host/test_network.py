"""`hub_answers` against real sockets on loopback: answers, refusals, silence."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from agnews_cli.host.network import DEFAULT_ENDPOINT, endpoint, hub_answers, is_offline

TIMEOUT_S = 1.0


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HF_ENDPOINT", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


class Hub(HTTPServer):
    """Answers every request with `status` and counts them."""

    status = 200
    asked = 0


class Handler(BaseHTTPRequestHandler):
    def do_HEAD(self) -> None:
        assert isinstance(self.server, Hub)
        self.server.asked += 1
        self.send_response(self.server.status)
        self.send_header("Location", "http://127.0.0.1:1/")
        self.end_headers()

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with Hub(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}/")
        yield server
        server.shutdown()


@pytest.mark.parametrize("status", [200, 204, 302, 401, 404, 429, 503])
def test_any_status_is_an_answer(hub: Hub, status: int) -> None:
    hub.status = status
    assert hub_answers(5.0)
    assert hub.asked == 1  # a redirect is not followed


@pytest.mark.parametrize("name", ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"])
@pytest.mark.parametrize("value", ["1", "true", "TRUE", "yes", "ON"])
def test_offline_is_no_without_asking(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    assert is_offline()
    assert not hub_answers(5.0)
    assert hub.asked == 0


@pytest.mark.parametrize("value", ["", "0", "false"])
def test_offline_may_be_said_to_be_off(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", value)
    assert hub_answers(5.0)


def test_no_time_is_no_answer(hub: Hub) -> None:
    assert not hub_answers(0.0)
    assert hub.asked == 0


def test_a_closed_port_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{port}")
    assert not hub_answers(5.0)


def test_silence_ends_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{silent.getsockname()[1]}")
        started = time.monotonic()
        assert not hub_answers(TIMEOUT_S)
        assert TIMEOUT_S * 0.9 <= time.monotonic() - started <= TIMEOUT_S + 1.0


def test_a_drip_of_bytes_ends_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each byte restarts a socket timeout; the limit is on the whole."""
    stop = threading.Event()

    def drip(server: socket.socket) -> None:
        connection, _ = server.accept()
        with connection:
            while not stop.wait(0.2):
                connection.sendall(b"H")

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=drip, args=(server,), daemon=True)
        thread.start()
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.getsockname()[1]}")
        started = time.monotonic()
        assert not hub_answers(TIMEOUT_S)
        assert time.monotonic() - started <= TIMEOUT_S + 1.0
        stop.set()
        thread.join(2.0)


def test_a_resolver_that_hangs_ends_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()

    def hang(*arguments: object, **named: object) -> list[object]:
        release.wait(10.0)
        raise OSError("no such host")

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    monkeypatch.setenv("HF_ENDPOINT", "http://hub.invalid")
    started = time.monotonic()
    assert not hub_answers(TIMEOUT_S)
    assert time.monotonic() - started <= TIMEOUT_S + 1.0
    release.set()


@pytest.mark.parametrize("address", ["file:///etc/passwd", "huggingface.co", "http://[", "http://"])
def test_a_bad_address_is_no_answer(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setenv("HF_ENDPOINT", address)
    assert not hub_answers(5.0)


def test_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    assert endpoint() == DEFAULT_ENDPOINT
    monkeypatch.setenv("HF_ENDPOINT", " ")
    assert endpoint() == DEFAULT_ENDPOINT
    monkeypatch.setenv("HF_ENDPOINT", "https://mirror.example/")
    assert endpoint() == "https://mirror.example"
