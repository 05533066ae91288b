"""The server around a model that is none: what is refused, what is batched, how it ends.

Real sockets and a real client; the model is a function, so that nothing is loaded.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

httpx = pytest.importorskip("httpx")
pytest.importorskip("fastapi")
pytest.importorskip("uvicorn")
parser = pytest.importorskip("prometheus_client.parser")

from agnews_cli.core.serving.limits import ServingLimits  # noqa: E402
from agnews_cli.core.serving.shift import ExpectedClasses  # noqa: E402
from agnews_cli.errors import (  # noqa: E402
    CannotListen,
    ExtraMissing,
    ForbiddenByTerms,
    PortTaken,
    PredictorDied,
    RunUnknown,
)
from agnews_cli.host.detect import detect  # noqa: E402
from agnews_cli.store.model.delivered import Delivered  # noqa: E402
from agnews_cli.workflows.serving import listening, serve  # noqa: E402

LABELS = ("money", "sport")
MODEL = Delivered("words", Path("words"), (), LABELS, LABELS, 8, ("text",))
TOKEN = "a-token-of-nobody-1234"


class Model:
    """Sport where the text says so. `passes` are the texts that it was asked at once."""

    def __init__(self) -> None:
        self.passes: list[list[str]] = []
        self.takes_s = 0.0
        self.fails = 0
        self.free = threading.Event()
        self.free.set()

    def ask(self, texts: Sequence[str]) -> Any:
        self.passes.append(list(texts))
        self.free.wait(20)
        time.sleep(self.takes_s)
        if self.fails:
            self.fails -= 1
            raise PredictorDied(how="SIGKILL")
        return [(0.25, 0.75) if "sport" in text else (0.75, 0.25) for text in texts]


class Site:
    """A server and its model."""

    def __init__(self, made: serve.ServerParts, model: Model, url: str, told: list[Exception]):
        self.made, self.model, self.url, self.told = made, model, url, told

    @property
    def address(self) -> tuple[str, int]:
        host, _, port = self.url.removeprefix("http://").partition(":")
        return host, int(port)

    async def raw(self, data: bytes) -> bytes:
        """What comes back, until it ends or nothing more has come for a while."""
        said = b""
        reader, writer = await asyncio.open_connection(*self.address)
        with suppress(ConnectionError):
            writer.write(data)
            await writer.drain()
        with suppress(ConnectionError, TimeoutError):
            while part := await asyncio.wait_for(reader.read(1 << 16), 0.3):
                said += part
        writer.close()
        return said


def served(
    body: Callable[[Site, httpx.AsyncClient], Awaitable[None]],
    *,
    token: str | None = None,
    is_ready: bool = True,
    **limits: Any,
) -> Site:
    """Run `body` beside a server with these limits."""

    async def run() -> Site:
        model, told = Model(), []
        listener = listening.bound("127.0.0.1", 0, word="words")
        known = ExpectedClasses((0.5, 0.5), "predicted of the 8 test rows")
        plan = serve.ServingPlan(MODEL, listener, token, known, ServingLimits(**limits), ())
        thread = ThreadPoolExecutor(1)
        made = serve.parts(plan, model.ask, thread, told.append)
        if is_ready:
            made.state.word = "ready"
        site = Site(made, model, plan.url, told)
        tasks = [
            asyncio.create_task(made.batches.run()),
            asyncio.create_task(made.server.serve(sockets=[listener])),
        ]
        while not made.server.started:
            await asyncio.sleep(0.005)
        try:
            async with httpx.AsyncClient(base_url=plan.url, timeout=20) as client:
                await body(site, client)
        finally:
            model.free.set()
            made.server.should_exit = True
            await asyncio.wait_for(tasks[1], 10)
            tasks[0].cancel()
            thread.shutdown()
        return site

    return asyncio.run(run())


# ---- answers ------------------------------------------------------------------------------------


def test_one_text_several_and_many_get_their_labels_in_order():
    async def body(site, client):
        one = (await client.post("/predict", json={"text": "a sport"})).json()
        assert one["model"] == "words"
        assert one["predictions"] == [
            {"label": "sport", "probability": 0.75, "probabilities": {"money": 0.25, "sport": 0.75}}
        ]
        texts = [f"text {n} of {LABELS[n % 3 == 0]}" for n in range(200)]
        several = (await client.post("/predict", json={"texts": texts[:5]})).json()
        labels = [each["label"] for each in several["predictions"]]
        assert labels == ["sport", "money", "money", "sport", "money"]
        many = (await client.post("/batch", json={"texts": texts})).json()
        assert many["classes"] == list(LABELS)
        assert many["labels"] == [LABELS[n % 3 == 0] for n in range(200)]
        assert len(many["probabilities"]) == 200

    site = served(body)
    assert max(map(len, site.model.passes)) == 64
    assert site.told == []


def test_requests_go_to_the_model_together_and_a_long_one_holds_up_no_other():
    async def body(site, client):
        site.model.free.clear()
        first = asyncio.create_task(client.post("/predict", json={"text": "first"}))
        while not site.model.passes:
            await asyncio.sleep(0.005)
        bulk = asyncio.create_task(client.post("/batch", json={"texts": ["bulk"] * 640}))
        while not site.made.batches.texts:
            await asyncio.sleep(0.005)
        small = [
            asyncio.create_task(client.post("/predict", json={"text": f"sport {n}"}))
            for n in range(20)
        ]
        while site.made.batches.texts < 660:
            await asyncio.sleep(0.005)
        site.model.free.set()
        answers = await asyncio.gather(first, bulk, *small)
        assert {answer.status_code for answer in answers} == {200}

    site = served(body)
    assert len(site.model.passes[0]) == 1
    assert sum(text.startswith("sport") for text in site.model.passes[1]) == 20
    assert len(site.model.passes) == 12  # 1, and 660 in passes of 64
    assert all(len(texts) == 64 for texts in site.model.passes[1:11])


def test_what_is_measured_is_read_by_prometheus():
    async def body(site, client):
        await client.post("/batch", json={"texts": ["sport"] * 6 + ["money"] * 2})
        await client.post("/predict", json={"text": ""})
        await client.get("/nowhere")
        page = await client.get("/metrics")
        assert page.headers["content-type"].startswith("text/plain")
        families = {f.name: f for f in parser.text_string_to_metric_families(page.text)}
        found = {
            (s.name, *sorted(s.labels.items())): s.value
            for family in families.values()
            for s in family.samples
        }
        asked = "agnews_requests_total"
        assert found[asked, ("route", "/batch"), ("status", "200")] == 1
        assert found[asked, ("route", "/predict"), ("status", "422")] == 1
        assert found[asked, ("route", "other"), ("status", "404")] == 1
        assert found["agnews_predicted_total", ("label", "sport")] == 6
        source = ("source", "predicted of the 8 test rows")
        assert found["agnews_class_shift", source] == 0.25
        assert found[("agnews_class_shift_texts",)] == 8
        assert found["agnews_expected_share", ("label", "money"), source] == 0.5
        assert found[("agnews_waiting_texts",)] == 0
        assert found[("agnews_requests_under_way",)] == 1  # this one
        assert found[("agnews_pass_texts_sum",)] == 8
        assert families["agnews_request_seconds"].type == "histogram"
        assert found["agnews_model_info", ("model", "words")] == 1

    served(body)


def test_the_page_describes_the_routes():
    async def body(site, client):
        page = (await client.get("/openapi.json")).json()
        assert set(page["paths"]) == {"/predict", "/batch", "/health", "/ready", "/metrics"}
        assert "429" in page["paths"]["/predict"]["post"]["responses"]
        assert (await client.get("/docs")).status_code == 200

    served(body)


# ---- refusals -----------------------------------------------------------------------------------

WRONG = [
    ("/predict", {"text": ""}, 422, "number 0 (empty)"),
    ("/predict", {"texts": ["sport", "  "]}, 422, "number 1 (empty)"),
    ("/predict", {}, 422, "either text or texts"),
    ("/predict", {"text": "a", "texts": ["b"]}, 422, "either text or texts"),
    ("/predict", {"texts": []}, 422, "no text"),
    ("/predict", {"text": 7}, 422, "valid string"),
    ("/predict", {"text": "a", "model": "/etc/passwd"}, 422, "not permitted"),
    ("/predict", ["a"], 422, "valid dictionary"),
    ("/predict", {"texts": ["a"] * 33}, 413, "at most 32: /batch takes more"),
    ("/batch", {"texts": ["a"] * 10_000}, 413, "10,000 texts; at most 1,000"),
    ("/batch", {"texts": ["a", "b" * 10_001]}, 413, "10,001 characters"),
    ("/batch", {"text": "a"}, 422, "not permitted"),
]


def test_what_is_not_right_is_refused_with_the_reason_and_without_what_was_sent():
    async def body(site, client):
        for path, given, status, words in WRONG:
            answer = await client.post(path, json=given)
            assert (answer.status_code, words in answer.text) == (status, True), answer.text
        secret = await client.post("/predict", json={"text": {"my": "secret words"}})
        assert secret.status_code == 422
        assert "secret words" not in secret.text
        assert (await client.get("/predict")).status_code == 405
        plain = await client.post("/predict", content=b'{"text": "a"}')
        assert plain.status_code == 422  # what a web page may send without asking
        answer = await client.post("/predict", json={"text": "sport"})
        assert answer.json()["predictions"][0]["label"] == "sport"

    assert served(body).told == []


def test_without_the_token_or_with_another_nothing_is_told():
    async def body(site, client):
        for value in (None, "", TOKEN, f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", "Bearer \xff"):
            headers = {} if value is None else {"Authorization": value.encode("latin-1")}
            for method, path in (("POST", "/predict"), ("GET", "/metrics"), ("GET", "/x")):
                answer = await client.request(method, path, headers=headers)
                assert answer.status_code == 401
                assert answer.headers["www-authenticate"] == "Bearer"
        for path in ("/health", "/ready", "/docs", "/openapi.json"):
            assert (await client.get(path)).status_code == 200
        right = {"Authorization": f"Bearer {TOKEN}"}
        assert (await client.post("/predict", json={"text": "a"}, headers=right)).is_success
        assert (await client.get("/metrics", headers=right)).is_success

    served(body, token=TOKEN)


def test_who_asks_too_often_is_told_when_to_come_again():
    async def body(site, client):
        answers = [await client.post("/predict", json={"text": "a"}) for _ in range(5)]
        assert [a.status_code for a in answers] == [200, 200, 200, 429, 429]
        assert int(answers[-1].headers["retry-after"]) >= 1
        assert (await client.get("/ready")).status_code == 200  # those are not counted

    served(body, per_client_per_s=3.0)


def test_more_than_can_wait_and_what_takes_too_long_are_503():
    async def body(site, client):
        site.model.free.clear()
        late = asyncio.create_task(client.post("/predict", json={"text": "late"}))
        while not site.model.passes:
            await asyncio.sleep(0.005)
        waiting = asyncio.create_task(client.post("/batch", json={"texts": ["a"] * 8}))
        while not site.made.batches.texts:
            await asyncio.sleep(0.005)
        full = await client.post("/batch", json={"texts": ["a"] * 8})
        assert (full.status_code, full.headers["retry-after"]) == (503, "1")
        for answer in await asyncio.gather(late, waiting):
            assert (answer.status_code, "within 0.3 s" in answer.text) == (503, True)
        assert site.made.batches.texts == 0
        site.model.free.set()
        assert (await client.post("/predict", json={"text": "a"})).is_success

    site = served(body, waiting_texts=12, answer_s=0.3)
    assert ["a"] * 8 not in site.model.passes  # nobody waits for it any more


def test_while_it_loads_it_lives_and_is_not_ready():
    async def body(site, client):
        assert (await client.get("/health")).json()["state"] == "alive"
        ready = await client.get("/ready")
        assert (ready.status_code, ready.json()["state"]) == (503, "loading")
        answer = await client.post("/predict", json={"text": "a"})
        assert (answer.status_code, "retry-after" in answer.headers) == (503, True)

    served(body, is_ready=False)


def test_one_client_waits_for_nobody_and_several_go_together():
    async def body(site, client):
        async def ask(times: int) -> None:
            for _ in range(times):
                assert (await client.post("/predict", json={"text": "a"})).is_success

        began_s = time.monotonic()
        await ask(3)
        assert time.monotonic() - began_s < wait_s
        site.model.takes_s = 0.1  # a busy machine is slow to ask again
        await asyncio.gather(*(ask(6) for _ in range(8)))

    wait_s = 1.0
    passes = served(body, wait_s=wait_s).model.passes
    assert [len(texts) for texts in passes[:3]] == [1, 1, 1]
    assert len(passes) < 3 + 12  # 48 texts; half of the passes would be of one text


def test_a_pass_that_fails_costs_its_own_requests_alone():
    async def body(site, client):
        site.model.fails = 1
        failed = await client.post("/batch", json={"texts": ["a"] * 100})
        assert (failed.status_code, failed.json()) == (
            503,
            {"detail": "the model could not answer"},
        )
        assert (await client.post("/predict", json={"text": "a"})).is_success

    site = served(body)
    assert [type(error) for error in site.told] == [PredictorDied]
    assert [len(texts) for texts in site.model.passes] == [64, 1]


def test_an_error_of_our_own_is_told_to_the_keeper_and_is_no_traceback(monkeypatch):
    def broken(*_: object) -> None:
        raise ZeroDivisionError("secret words")

    monkeypatch.setattr("agnews_cli.workflows.serving.answering.Answering._read", broken)

    async def body(site, client):
        answer = await client.post("/predict", json={"text": "a"})
        assert (answer.status_code, answer.json()) == (
            500,
            {"detail": "an error of the server's own"},
        )

    assert [type(error) for error in served(body).told] == [ZeroDivisionError]


# ---- bodies and clients that mean no good -------------------------------------------------------


def test_a_body_of_a_gigabyte_is_refused_before_it_is_read():
    async def body(site, client):
        head = b"POST /batch HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        said = await site.raw(head + b"Content-Length: 1073741824\r\n\r\n{")
        assert said.startswith(b"HTTP/1.1 413 ")
        expects = b"Content-Length: 1073741824\r\nExpect: 100-continue\r\n\r\n"
        assert (await site.raw(head + expects)).startswith(b"HTTP/1.1 413 ")
        chunk = b"%x\r\n%b\r\n" % (1 << 16, b" " * (1 << 16))
        said = await site.raw(head + b"Transfer-Encoding: chunked\r\n\r\n" + chunk * 4)
        assert said.startswith(b"HTTP/1.1 413 ")

        sent = 0

        async def endless():
            nonlocal sent
            while sent < 1 << 30:
                sent += 1 << 16
                yield b" " * (1 << 16)

        with suppress(httpx.TransportError):
            answer = await client.post("/batch", content=endless())
            assert answer.status_code == 413
        assert sent < 64 << 20

    served(body, body_bytes=100_000)


def test_a_client_of_a_byte_a_second_is_given_up():
    async def body(site, client):
        reader, writer = await asyncio.open_connection(*site.address)
        began_s = time.monotonic()
        writer.write(b"POST /predict HTTP/1.1\r\nHost: x\r\n")  # its head never ends
        assert await asyncio.wait_for(reader.read(), 5) == b""
        reader, writer = await asyncio.open_connection(*site.address)
        assert await asyncio.wait_for(reader.read(), 5) == b""  # it says nothing at all
        reader, writer = await asyncio.open_connection(*site.address)
        ask = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"
        writer.write(ask)  # its body never ends
        assert b" 408 " in await asyncio.wait_for(reader.read(), 5)
        reader, writer = await asyncio.open_connection(*site.address)
        writer.write(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"alive" in await asyncio.wait_for(reader.readuntil(b"}"), 5)
        writer.write(b"GET /hea")  # the second one's head never ends
        assert await asyncio.wait_for(reader.read(), 4) == b""
        assert time.monotonic() - began_s < 10
        assert (await client.get("/health")).is_success

    served(body, slow_s=0.15)


def _malformed(rng: random.Random) -> Iterator[bytes]:
    whole = json.dumps({"texts": ["a sport", "Ünicode ✓"], "n": [1, {"a": None}]}).encode()
    odd = [b'{"text": "\\ud800"}', b'{"text": NaN}', b"[" * 50_000, b'{"text": 1e999}', b"\xff\xfe",
           b'{"text": "\\u0000"}', b"", b"null", b'{"text":' + b" " * 9_000 + b'"a"}',
           b'{"a":' * 3_000 + b"1" + b"}" * 3_000, b'{"text": "a", "text": "b"}']  # fmt: skip
    heads = [b"Content-Type: application/json", b"Content-Type: application/json;charset=utf-16",
             b"Content-Type: text/plain", b"Content-Encoding: gzip", b"Content-Type: \xff"]  # fmt: skip # noqa: E501
    methods = [b"POST", b"POST", b"POST", b"GET", b"PUT", b"OPTIONS", b"HEAD", b"BREW"]
    paths = [
        b"/predict",
        b"/batch",
        b"/metrics",
        b"/predict/../../etc/passwd",
        b"/%00",
        b"//",
        b"*",
    ]
    for n in range(1_000):
        data = bytearray(rng.choice([whole, *odd]))
        for _ in range(rng.randint(0, 4) if len(data) < 1_000 else 0):
            at = rng.randrange(len(data) + 1)
            data[at : at + rng.randint(0, 3)] = rng.randbytes(rng.randint(0, 3))
        length = rng.choice([len(data)] * 8 + [len(data) + 5, max(0, len(data) - 3)])
        lines = [
            b"%b %b HTTP/1.1" % (rng.choice(methods), rng.choice(paths)),
            b"Host: x",
            b"Connection: close",
            rng.choice(heads),
            b"Content-Length: %d" % length,
        ]
        request = b"\r\n".join(lines) + b"\r\n\r\n" + bytes(data)
        if n % 10 == 0:
            request = rng.randbytes(rng.randint(1, 300)) + b"\r\n\r\n"
        if n % 10 == 1:
            at = rng.randrange(len(request))
            request = request[:at] + rng.randbytes(1) + request[at + 1 :]
        yield request


def test_of_a_thousand_malformed_requests_none_is_an_error_of_ours():
    statuses: list[bytes] = []

    async def body(site, client):
        for request in _malformed(random.Random(7)):
            said = await site.raw(request)
            if said:
                statuses.append(said.split(maxsplit=2)[1])
        assert (await client.post("/predict", json={"text": "a"})).is_success

    site = served(body, slow_s=0.03)  # a tenth of them send less than they say
    assert len(statuses) > 700
    assert {status[:1] for status in statuses} <= {b"2", b"4"}, sorted(set(statuses))
    assert site.told == []


# ---- before it answers, and the end --------------------------------------------------------------


def test_a_port_that_is_taken_and_an_address_of_others_are_said():
    with listening.bound("127.0.0.1", 0, word="my run") as one:
        one.listen()
        port = one.getsockname()[1]
        with pytest.raises(PortTaken, match=f"Port {port} of 127.0.0.1 is taken") as taken:
            listening.bound("127.0.0.1", port, word="my run")
        assert taken.value.advice == "Take any free one: agnews serve 'my run' --port 0"
        assert taken.value.exit_code == 69
    for host in ("192.0.2.1", "no host", "x" * 70):
        with pytest.raises(CannotListen):
            listening.bound(host, 0, word="r")


@pytest.mark.parametrize(("tier", "kind"), [("free", ForbiddenByTerms), ("paid", RunUnknown)])
def test_free_colab_refuses_it_before_anything_is_looked_for(monkeypatch, tmp_path, tier, kind):
    monkeypatch.setenv("AGNEWS_PLATFORM", "colab")
    here = replace(detect(), tier=tier)
    monkeypatch.setattr(serve, "detect", lambda: here)
    with pytest.raises(kind) as refused:
        serve.prepare(serve.ServeRequest("nothing", store=tmp_path))
    assert ("colaboratory/faq" in refused.value.message) == (tier == "free")


def test_a_missing_extra_is_said_with_the_command_that_brings_it(monkeypatch, tmp_path):
    monkeypatch.setattr(serve, "find_spec", lambda name: None if name == "uvicorn" else name)
    with pytest.raises(ExtraMissing, match="'serve' extra: uvicorn") as missing:
        serve.prepare(serve.ServeRequest("nothing", store=tmp_path))
    assert missing.value.advice == "pip install 'agnews-cli[serve]'"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_told_to_end_it_answers_what_has_come_and_refuses_what_comes(number):
    async def body(site, client):
        site.model.free.clear()
        came = asyncio.create_task(client.post("/predict", json={"text": "sport"}))
        while not site.model.passes:
            await asyncio.sleep(0.005)
        os.kill(os.getpid(), number)
        while not site.made.door.is_ending:
            await asyncio.sleep(0.005)
        ready = await client.get("/ready")
        assert (ready.status_code, ready.json()["state"]) == (503, "ending")
        new = await client.post("/predict", json={"text": "new"})
        assert (new.status_code, new.headers["connection"]) == (503, "close")
        await asyncio.sleep(0.5)  # longer than it waits for somebody else
        assert not came.done()
        assert not site.made.server.should_exit
        site.model.free.set()
        answer = await came
        assert (answer.status_code, answer.headers["connection"]) == (200, "close")
        while not site.made.server.should_exit:
            await asyncio.sleep(0.02)

    site = served(body)
    assert site.made.heard.number == number
    assert site.made.heard.cut == 0


def test_told_twice_it_ends_at_once():
    async def body(site, client):
        site.model.free.clear()
        came = asyncio.create_task(client.post("/predict", json={"text": "sport"}))
        while not site.model.passes:
            await asyncio.sleep(0.005)
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.sleep(0.05)
        assert site.made.server.should_exit
        site.model.free.set()
        with suppress(httpx.TransportError):
            await came

    served(body)
