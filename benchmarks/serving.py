"""Requests a second that a server answers within 100 ms (p99), beside a plain one.

Usage: python benchmarks/serving.py RUN [--store DIR] [--seconds 10] [--levels 1,4,16,64]
           [--peer predictor|pipeline] [--plain-run RUN] [--texts FILE]

Both run on this machine in turn, and so does the client, `wrk` (`apt-get install wrk`): one thread
with so many connections, one request under way on each. The plain server is FastAPI and uvicorn
with one function: of `--peer predictor` it asks the same predictor for each request by itself
(`agnews_cli.load`), of `pipeline` transformers' pipeline in its own process, as the lines of the
card do. RUN is a run or a folder for both; a pipeline needs one fine-tuned model, which
`--plain-run` names where RUN is its export.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
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

_SCRIPT = """\
local requests, at = {}, 0
function init(words)
  for line in io.lines(words[1]) do
    local head = {["Content-Type"] = "application/json"}
    table.insert(requests, wrk.format("POST", nil, head, line))
  end
end
function request()
  at = at % #requests + 1
  return requests[at]
end
function done(summary, latency)
  local e = summary.errors
  io.write(string.format('{"answers": %d, "seconds": %f, "p50": %f, "p99": %f, "lost": %d}',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e6,
    latency:percentile(99) / 1e6, e.connect + e.read + e.write + e.status + e.timeout))
end
"""


@dataclass(frozen=True, slots=True)
class Load:
    """What `wrk` saw: answers, and seconds that it took and that half and 99% of them took."""

    answers: int
    seconds: float
    p50: float
    p99: float
    lost: int


def loaded(port: int, texts: Sequence[str], connections: int, seconds: float) -> Load:
    """Raises AssertionError where an answer was lost or was no success."""
    with tempfile.TemporaryDirectory() as folder:
        script, bodies = Path(folder) / "post.lua", Path(folder) / "bodies"
        script.write_text(_SCRIPT)
        bodies.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
        command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds:g}s", "--timeout", "60s"]
        command += ["-s", str(script), f"http://127.0.0.1:{port}/predict", "--", str(bodies)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
    load = Load(**json.loads(done.stdout[done.stdout.rindex("{") :]))
    assert load.lost == 0 and load.answers, done.stdout
    return load


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
    parser.add_argument("--plain-run", help="what the plain server answers with (RUN)")
    parser.add_argument("--seconds", type=int, default=10)
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
    plain_run = asked.plain_run or asked.run
    peer = [sys.executable, __file__, plain_run, "--store", asked.store, "--plain"]
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
            loaded(asked.port, texts, 4, 1)  # warm
            for level in map(int, asked.levels.split(",")):
                before, used_s = memory_mb(process), cpu_s(process)
                load = loaded(asked.port, texts, level, asked.seconds)
                rate = load.answers / load.seconds
                each_ms = 1e3 * (cpu_s(process) - used_s) / load.answers
                if load.p99 < _BAR_S:
                    best[name] = max(best.get(name, 0.0), rate)
                print(
                    f"| {name} | {level} | {rate:,.0f} | {1e3 * load.p50:.1f} ms | "
                    f"{1e3 * load.p99:.1f} ms | {each_ms:.1f} ms | {before:.0f}, "
                    f"{memory_mb(process):.0f} MB |",
                    flush=True,
                )
    for name, rate in best.items():
        print(f"{name}: {rate:,.0f} requests/s at a p99 under {_BAR_S * 1e3:.0f} ms")


if __name__ == "__main__":
    main()
