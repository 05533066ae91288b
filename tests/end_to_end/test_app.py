"""`agnews app` whole: the real command, Gradio's server, a real model in a process of its own."""

from __future__ import annotations

import html
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.train
pytest.importorskip("numpy")
pytest.importorskip("sklearn")
pytest.importorskip("safetensors")
if find_spec("gradio") is None:  # imported by the command alone: it takes seconds
    pytest.skip("needs gradio", allow_module_level=True)
httpx = pytest.importorskip("httpx")

from agnews_cli.errors import ForbiddenByTerms, RunUnknown  # noqa: E402
from agnews_cli.host.detect import detect  # noqa: E402
from agnews_cli.learn.predictor import open_delivery  # noqa: E402
from agnews_cli.store.model import delivered  # noqa: E402
from agnews_cli.workflows.app import app  # noqa: E402
from tests.end_to_end.test_predict import make_run  # noqa: E402

ANSWERED, SEEN, LABELLED = range(3)
HOSTILE = "<img src=x onerror=alert(1)>{{7*7}}\x00\u202e'\"><script>alert(2)</script> the striker"


class Page:
    """The command, until it is told to end, asked as a browser asks it."""

    def __init__(self, command: list[str], where: Path, **env: str) -> None:
        self.process = subprocess.Popen(
            command, cwd=where, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env=os.environ | {"OMP_NUM_THREADS": "1"} | env, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        assert self.process.stdout
        self.facts = json.loads(self.process.stdout.readline())
        self.url = self.facts["url"]

    def ask(self, number: int, *given: Any) -> Any:
        """What the event handler of that number answers; it must not fail."""
        asked = {"fn_index": number, "data": given, "session_hash": f"s{id(given)}"}
        joined = httpx.post(
            f"{self.url}/gradio_api/queue/join",
            content=json.dumps(asked),  # also what no UTF-8 can say
            headers={"content-type": "application/json"},
        )
        assert joined.status_code == 200, joined.text
        place, who = f"{self.url}/gradio_api/queue/data", {"session_hash": asked["session_hash"]}
        with httpx.stream("GET", place, params=who, timeout=60) as answers:
            for line in filter(lambda line: line.startswith("data:"), answers.iter_lines()):
                told = json.loads(line.removeprefix("data:"))
                if told["msg"] == "process_completed":
                    assert told["success"], told
                    return told["output"]["data"]
        raise AssertionError("no answer")

    def give(self, path: Path) -> dict[str, Any]:
        """The file as the page names it, uploaded."""
        with path.open("rb") as file:
            kept = httpx.post(f"{self.url}/gradio_api/upload", files={"files": (path.name, file)})
        (place,) = kept.json()
        return {"path": place, "orig_name": path.name, "meta": {"_type": "gradio.FileData"}}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("store")
    make_run(found)
    return found


@pytest.fixture(scope="module")
def page(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    command = [sys.executable, "-m", "agnews_cli", "app", "latest", "--store", str(store)]
    temporary = tmp_path_factory.mktemp("tmp")
    found = Page([*command, "--port", "0", "--json"], store, TMPDIR=str(temporary))
    yield found
    found.process.send_signal(signal.SIGTERM)
    _, said = found.process.communicate(timeout=60)
    assert found.process.returncode == 143, said
    assert "nothing that was asked is kept" in said and not list(temporary.iterdir())


def shares(answer: str) -> dict[str, str]:
    """Percentages by class."""
    return dict(re.findall(r'<th scope="row">(.*?)</th>.*?<td>([\w.% ]+)</td></tr>', answer))


def test_a_text_gets_probabilities_and_what_they_rest_on(page: Page, store: Path) -> None:
    answer, waiting = page.ask(ANSWERED, "the striker scored twice")
    model = delivered.find(store, "latest")
    (said,) = open_delivery(delivered.order_of(model, str))(["the striker scored twice"])
    assert f"<strong>{model.labels[said.argmax()]}</strong>" in answer
    words = {k: f"{p:.1%}" for k, p in zip(model.labels, said, strict=True)}
    bounds = {"100.0%": "over 99.9%", "0.0%": "under 0.1%"}
    assert shares(answer) == {k: bounds.get(p, p) for k, p in words.items()}
    (looked,) = page.ask(SEEN, "the striker scored twice", waiting)
    assert "striker" in looked and "left out" in looked and "exported and linear" in looked


def test_what_people_type_is_text(page: Page) -> None:
    answer, waiting = page.ask(ANSWERED, HOSTILE)
    (looked,) = page.ask(SEEN, HOSTILE, waiting)
    for found in (answer, looked):
        assert "<script" not in found and "<img" not in found and "49" not in shares(found)
    assert "striker" in html.unescape(looked)
    for text, why in (("", "no words"), (" \t\n ", "no words"), ("a" * 10_001, "longer")):
        answer, waiting = page.ask(ANSWERED, text)
        assert why in answer and 'role="alert"' in answer and not waiting
        assert page.ask(SEEN, text, waiting) == [""]
    for text in (None, "\ud800 half a letter", "ö" * 9_999):
        page.ask(ANSWERED, text)


def test_a_file_comes_back_with_labels(page: Page, tmp_path: Path) -> None:
    (tmp_path / "news.csv").write_text("id,notes\n7,the striker scored\n8,\n9,shares fell\n")
    told, made = page.ask(LABELLED, page.give(tmp_path / "news.csv"))
    assert "2 rows are labelled; 1 have no text" in told
    answers = httpx.get(made["value"]["url"]).text.splitlines()
    assert answers[0].startswith("id,notes,label,p_") and len(answers) == 4
    assert made["value"]["orig_name"] == "news-labelled.csv" and answers[2].startswith("8,,,")
    (tmp_path / "odd.csv").write_bytes(b"\x00\xff\xfe\x00" * 9)
    (tmp_path / "columns.csv").write_text("a,b\n1,2\n")
    for name in ("odd.csv", "columns.csv"):
        told, made = page.ask(LABELLED, page.give(tmp_path / name))
        assert 'role="alert"' in told and name in told and "/" not in shares(told)
        assert str(tmp_path) not in told and "gradio" not in told
    told, made = page.ask(LABELLED, None)
    assert "Choose a file" in told


def test_it_gives_nothing_else_away_and_asks_nobody(page: Page, store: Path) -> None:
    found = httpx.get(page.url)
    assert (
        found.status_code == 200
        and "default-src 'self'" in found.headers["content-security-policy"]
    )
    for place in ("/etc/passwd", str(next(store.rglob("created.json")))):
        assert httpx.get(f"{page.url}/gradio_api/file={place}").status_code == 403
    assert httpx.get(f"{page.url}/docs").status_code == 404
    settings = httpx.get(f"{page.url}/config").json()
    assert settings["analytics_enabled"] is False and not settings.get("share_url")
    big = {"files": ("big.csv", b"a" * 6_000_000)}
    assert httpx.post(f"{page.url}/gradio_api/upload", files=big).status_code == 413


@pytest.mark.parametrize(("tier", "kind"), [("free", ForbiddenByTerms), ("paid", RunUnknown)])
def test_free_colab_refuses_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tier: str, kind: type[Exception]
) -> None:
    monkeypatch.setenv("AGNEWS_PLATFORM", "colab")
    here = replace(detect(), tier=tier)
    monkeypatch.setattr(app, "detect", lambda: here)
    with pytest.raises(kind):
        app.prepare(app.AppRequest("nothing", store=tmp_path))


def test_a_space_is_a_folder_that_runs_by_itself(agnews: Any, store: Path, tmp_path: Path) -> None:
    done = agnews("app", "latest", "--store", store, "--space", "space", "--json")
    space = tmp_path / "space"
    assert done.code == 0 and done.json["folder"] == str(space)
    head = (space / "README.md").read_text("utf-8").split("---")[1]
    assert "sdk: gradio" in head and "app_file: app.py" in head and "sdk_version: 6" in head
    needs = (space / "requirements.txt").read_text().split()
    assert any(need.startswith("scikit-learn") for need in needs)
    assert not any(need.startswith(("gradio", "pytest", "agnews")) for need in needs)
    again = agnews("app", "latest", "--store", store, "--space", "space")
    assert again.code == 73 and "--space DIR" in again.err


@pytest.mark.slow
def test_a_space_runs_by_its_own_code(agnews: Any, store: Path, tmp_path: Path) -> None:
    agnews("app", "latest", "--store", store, "--space", "space")
    code = tmp_path / "space" / "agnews_cli" / "learn" / "models" / "linear.py"
    code.write_text("raise ImportError('this very file')\n")
    env = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    command = [sys.executable, "app.py"]
    done = subprocess.run(command, cwd=tmp_path / "space", env=env, capture_output=True, text=True)
    assert done.returncode == 1 and "this very file" in done.stderr
