"""Requests a second that a server answers within 100 ms (p99), beside a plain one.

Usage: python benchmarks/serving.py RUN [--store DIR] [--seconds 10] [--levels 1,4,16,64]
           [--peer predictor|pipeline] [--texts FILE]

Both run on this machine in turn, and so does the client: an event loop that writes ready requests
on kept connections and reads the answers, one under way a connection. The plain server is FastAPI
and uvicorn with one function: of `--peer predictor` it asks the same predictor for each request by
itself (`agnews_cli.load`), of `pipeline` transformers' pipeline in its own process, as the lines of
the card do. RUN is a run or a folder for both; a pipeline needs one fine-tuned model.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

TEXTS = [
    "Oil prices rose again on Friday after a report of falling stocks in the north",
    "The striker scored twice in extra time and the coach left the club the same night",
    "Two ministers met in the capital to end a dispute over the river that both countries use",
    "A small probe sent back the first pictures of a comet that nobody had seen before",
]
_BAR_S = 0.1


# ---- the plain server ---------------------------------------------------------------------------


def plain(run: str, store: str, peer: str, port: int) -> None:
    """Serve for ever."""
    import uvicorn
    from fastapi import FastAPI
    from pydantic import BaseModel

    class Body(BaseModel):
        text: str

    app = FastAPI()
    if peer == "pipeline":
        from transformers import pipeline

        from agnews_cli.store.model import delivered

        (member,) = delivered.find(Path(store), run).members
        pipe = pipeline("text-classification", model=member.folder, top_k=None)

        def answer(text: str) -> dict[str, float]:
            (found,) = pipe([text])
            return {each["label"]: each["score"] for each in found}
    else:
        from agnews_cli import load

        model = load(run, store=store)

        def answer(text: str) -> dict[str, float]:
            found = model.predict([text])
            return dict(zip(found.classes, found.probabilities[0].tolist(), strict=True))

    answer(TEXTS[0])
    globals()["Body"] = Body  # FastAPI looks there for what an annotation names

    @app.post("/predict")
    def predict(body: Body) -> dict[str, float]:
        return answer(body.text)

    @app.get("/ready")
    def ready() -> str:
        return "ready"

    uvicorn.run(app, port=port, log_level="critical", http="h11", loop="asyncio")


# ---- the client ---------------------------------------------------------------------------------


def request_of(text: str) -> bytes:
    data = json.dumps({"text": text}).encode()
    head = f"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n"  # noqa: E501
    return head.encode() + data


async def answered(reader: asyncio.StreamReader) -> int:
    """The status of one answer, read to its end."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(
        int(line.split(b":")[1])
        for line in head.lower().split(b"\r\n")
        if line.startswith(b"content-length:")
    )
    await reader.readexactly(length)
    return int(head.split(maxsplit=2)[1])


async def loaded(port: int, texts: list[str], connections: int, seconds: float) -> list[float]:
    """Seconds of each answer that came. Raises AssertionError for any other status than 200."""
    requests = [request_of(text) for text in texts]
    took: list[float] = []
    end_s = time.perf_counter() + seconds

    async def one(number: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        at = number
        while (began_s := time.perf_counter()) < end_s:
            writer.write(requests[at % len(requests)])
            status = await answered(reader)
            assert status == 200, status
            took.append(time.perf_counter() - began_s)
            at += connections
        writer.close()

    await asyncio.gather(*(one(number) for number in range(connections)))
    return took


def p(took: list[float], share: float) -> float:
    return sorted(took)[min(len(took) - 1, int(share * len(took)))]


# ---- both ---------------------------------------------------------------------------------------


@contextlib.contextmanager
def served(command: list[str], port: int) -> Iterator[psutil.Process]:
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        import urllib.request

        give_up = time.monotonic() + 300
        while True:
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"http://127.0.0.1:{port}/ready", timeout=5).read()
                break
            assert process.poll() is None, command
            assert time.monotonic() < give_up
            time.sleep(0.2)
        yield psutil.Process(process.pid)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def memory_mb(process: psutil.Process) -> float:
    every = [process, *process.children(recursive=True)]
    return sum(each.memory_info().rss for each in every) / 1e6


def cpu_s(process: psutil.Process) -> float:
    every = [process, *process.children(recursive=True)]
    return sum(sum(each.cpu_times()[:2]) for each in every)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("run")
    parser.add_argument("--store", default="agnews-runs")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--levels", default="1,4,16,64")
    parser.add_argument("--peer", choices=("predictor", "pipeline"), default="predictor")
    parser.add_argument("--texts", help="a text a line")
    parser.add_argument("--port", type=int, default=8700)
    parser.add_argument("--only", choices=("agnews", "plain"), help="one of the two")
    parser.add_argument("--plain", action="store_true", help="be the plain server")
    asked = parser.parse_args()
    if asked.plain:
        plain(asked.run, asked.store, asked.peer, asked.port)
        return
    texts = Path(asked.texts).read_text("utf-8").splitlines() if asked.texts else TEXTS
    agnews = [sys.executable, "-m", "agnews_cli", "serve", asked.run, "--store", asked.store]
    peer = [sys.executable, __file__, asked.run, "--store", asked.store, "--plain"]
    print(f"load of the machine before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    print("| server | connections | requests/s | p50 | p99 | CPU each | memory before, after |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    best: dict[str, float] = {}
    for name, command in (
        ("agnews serve", [*agnews, "--quiet", "--port", str(asked.port)]),
        (f"plain, {asked.peer}", [*peer, "--peer", asked.peer, "--port", str(asked.port)]),
    ):
        if asked.only is not None and not name.startswith(asked.only):
            continue
        with served(command, asked.port) as process:
            asyncio.run(loaded(asked.port, texts, 4, 1.0))  # warm
            for level in map(int, asked.levels.split(",")):
                before, used_s = memory_mb(process), cpu_s(process)
                took = asyncio.run(loaded(asked.port, texts, level, asked.seconds))
                rate, late = len(took) / asked.seconds, p(took, 0.99)
                each_ms = 1e3 * (cpu_s(process) - used_s) / len(took)
                if late < _BAR_S:
                    best[name] = max(best.get(name, 0.0), rate)
                print(
                    f"| {name} | {level} | {rate:,.0f} | {1e3 * p(took, 0.5):.1f} ms | "
                    f"{1e3 * late:.1f} ms | {each_ms:.1f} ms | {before:.0f}, "
                    f"{memory_mb(process):.0f} MB |",
                    flush=True,
                )
    for name, rate in best.items():
        print(f"{name}: {rate:,.0f} requests/s at a p99 under {_BAR_S * 1e3:.0f} ms")


if __name__ == "__main__":
    main()
