"""`agnews serve` whole: the real command, a real model in a process of its own, real clients."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest

pytestmark = pytest.mark.train
pytest.importorskip("numpy")
pytest.importorskip("sklearn")
pytest.importorskip("safetensors")
pytest.importorskip("fastapi")
httpx = pytest.importorskip("httpx")
psutil = pytest.importorskip("psutil")

from tests.core.evaluations import evaluation  # noqa: E402
from tests.end_to_end.test_predict import make_run  # noqa: E402
from tests.servers.process import free_port  # noqa: E402

TEXTS = ["shares fell on weak profit", "the striker scored twice"]


class Served:
    """The command, until it is told to end; `facts` are what it printed."""

    def __init__(self, store: Path, *arguments: object, **env: str) -> None:
        command = [sys.executable, "-m", "agnews_cli", "serve", "latest", "--store", store]
        self.process = subprocess.Popen(
            [*map(str, command), "--port", "0", "--json", *map(str, arguments)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env=os.environ | {"OMP_NUM_THREADS": "1"} | env, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        self.facts = json.loads(_line(self.process.stdout))
        self.url = self.facts["url"]

    def ended(self, number: int) -> tuple[int, str]:
        """Its exit code, and what it said to people."""
        self.process.send_signal(number)
        _, said = self.process.communicate(timeout=60)
        return self.process.returncode, said


def _line(stream: IO[str] | None) -> str:
    assert stream is not None
    return stream.readline()


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Path:
    found = tmp_path_factory.mktemp("store")
    run = make_run(found)
    (run / "evaluation.json").write_text(
        evaluation(((9, 1), (1, 9)), ((5, 1), (1, 5))).model_dump_json()
    )
    return found


@pytest.fixture(scope="module")
def served(store) -> Iterator[Served]:
    found = Served(store)
    yield found
    found.process.kill()
    found.process.communicate()


def test_it_says_where_it_is_and_answers_as_the_model_does(served):
    assert served.facts["schema"] == "agnews.serving/1"
    assert served.facts["url"].startswith("http://127.0.0.1:")
    assert served.facts["expected"] == "predicted of the 12 test rows"
    with httpx.Client(base_url=served.url, timeout=60) as client:
        assert client.get("/ready").json() == {"state": "ready", "model": "words-0123456789"}
        found = client.post("/batch", json={"texts": TEXTS}).json()
        assert found["labels"] == ["money", "sport"]
        assert [sum(row) for row in found["probabilities"]] == pytest.approx([1.0, 1.0])
        assert 'source="predicted of the 12 test rows"' in client.get("/metrics").text


def test_a_model_whose_process_is_killed_answers_the_next_text(served):
    children = psutil.Process(served.process.pid).children()
    assert len(children) == 1  # the one that predicts; nothing else runs
    children[0].kill()
    answer = httpx.post(f"{served.url}/predict", json={"text": TEXTS[1]}, timeout=60)
    assert answer.json()["predictions"][0]["label"] == "sport"


def test_told_to_end_under_load_it_loses_no_answer(served):
    """After the two above: the server of this file ends here."""
    said: Counter[str] = Counter()
    lock = threading.Lock()

    def ask() -> None:
        with httpx.Client(base_url=served.url, timeout=60) as client:
            while True:
                try:
                    status = str(client.post("/predict", json={"text": TEXTS[0]}).status_code)
                except httpx.ConnectError:  # it was never taken
                    status = "refused"
                except httpx.TransportError as error:
                    status = f"lost: {error!r}"
                with lock:
                    said[status] += 1
                if status != "200":
                    return

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    give_up_s = time.monotonic() + 30
    while said["200"] < 40 and time.monotonic() < give_up_s:
        time.sleep(0.02)
    code, words = served.ended(signal.SIGTERM)
    for thread in threads:
        thread.join(30)
    assert said["200"] >= 40
    assert set(said) <= {"200", "503", "refused"}, said
    assert (code, "every request that had come was answered" in words) == (143, True)


def test_a_token_of_the_environment_is_asked_for_and_ctrl_c_ends_it(store):
    token = "a-token-of-nobody-1234"
    served = Served(store, "--rate", "1000", AGNEWS_SERVE_TOKEN=token)
    assert served.facts["needs_token"]
    assert httpx.post(f"{served.url}/predict", json={"text": "a"}).status_code == 401
    headers = {"Authorization": f"Bearer {token}"}
    answer = httpx.post(f"{served.url}/predict", json={"text": "a"}, headers=headers)
    assert answer.status_code == 200
    code, words = served.ended(signal.SIGINT)
    assert code == 130
    assert token not in words


# ---- what is wrong before it answers ------------------------------------------------------------


def test_a_model_that_is_damaged_is_said_and_nothing_goes_on(agnews, tmp_path):
    run = make_run(tmp_path / "runs")
    (run / "linear" / "words.safetensors").write_bytes(b"nothing")
    done = agnews("serve", "latest", "--store", "runs", "--port", "0")
    assert done.code == 74
    assert "words.safetensors cannot be loaded" in done.err
    assert "Traceback" not in done.err


def test_what_cannot_be_served_is_one_message_with_a_way_out(agnews, tmp_path):
    run = make_run(tmp_path / "runs")
    store = ("--store", "runs")
    done = agnews("serve", "nobody", *store)
    assert (done.code, "No run 'nobody'" in done.err) == (2, True)
    (tmp_path / "short").write_text("short\n")
    done = agnews("serve", "latest", *store, "--token-file", "short")
    assert (done.code, "short cannot be used" in done.err) == (2, True)
    done = agnews("serve", "latest", *store, "--token-file", "missing")
    assert done.code == 66
    done = agnews("serve", "latest", *store, "--host", "192.0.2.1")
    assert (done.code, "192.0.2.1" in done.err) == (69, True)
    (run / "delivery.json").unlink()
    done = agnews("serve", "latest", *store, "--port", free_port())
    assert (done.code, "has delivered no model yet" in done.err) == (2, True)
    assert "Traceback" not in done.err
