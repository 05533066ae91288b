"""The stop button, a restart and a kernel's death, in real kernels: each leaves a run that goes on.

One long run goes through all of it, round after round; that a round begins where the one before
was saved is what shows that the one before left it resumable.
"""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from agnews_cli.cli.main import main
from tests import tiny
from tests.notebook.conftest import Cell

pytestmark = pytest.mark.train
pytest.importorskip("torch")

ORDER = (
    "--preset minilm --set model.id=./base --set training.epochs=4000 --justify test "
    "--set training.patience=1000000 --set training.r_drop=0 --set training.linear_teacher=0 "
    "--set training.yardstick=false --set data.cross_validated_below=0"
)
"""A run of many minutes, of a model that is loaded and saved within a second."""
COLAB = "%load_ext colab_shell"
EXTENSION = "%load_ext agnews_cli"


@dataclass(frozen=True)
class Round:
    """How the command is typed, and what then happens to it."""

    shell: str
    """The cell that comes first: Colab's shell behaviour, or the magic."""
    typed: str
    end: str


FAST = (
    Round(EXTENSION, "%agnews", "stop"),
    Round("", "!agnews", "stop"),
    Round("", "!agnews", "restart"),
    # Nothing is printed, and the shell gets the signals: the command has only its ancestors to see.
    Round(COLAB, "!cd . && agnews --quiet", "kill"),
)
OTHERS = (
    Round("", "!agnews", "kill"),
    Round(EXTENSION, "%agnews", "kill"),
    Round(EXTENSION, "%agnews", "restart"),
    Round(EXTENSION, "%agnews", "stop twice"),
    Round(COLAB, "!agnews", "stop"),
    Round(COLAB, "!cd . && agnews", "stop"),
    Round(COLAB, "!cd . && agnews --quiet", "stop"),
    Round(COLAB, "!agnews", "restart"),
    Round(COLAB, "!agnews", "kill"),
    Round(COLAB, "!cd . && agnews", "restart"),
)


@pytest.fixture(autouse=True)
def base(notebooks) -> Path:
    return tiny.make(notebooks.folder / "base")


def manifests(work: Path) -> list[Path]:
    found = work.glob("agnews-runs/*/checkpoints/*/m-*.json")
    return sorted(found, key=lambda path: int(path.name.split("-")[2]))


def newest(work: Path) -> tuple[int, str]:
    """Step of the newest checkpoint, and why it was taken."""
    path = manifests(work)[-1]
    return int(path.name.split("-")[2]), json.loads(path.read_text())["why"]


def is_trained(work: Path) -> bool:
    """Whether a worker trains in `work`, or its launcher lives."""
    every = (" ".join(p.info["cmdline"] or ()) for p in psutil.process_iter(["cmdline"]))
    return any(str(work) in words and "agnews_cli.learn.worker" in words for words in every)


def play(round_: Round, notebooks, python: Path) -> int:
    """One round; the step at which the run was left."""
    work = notebooks.folder
    before = len(manifests(work)) and newest(work)[0]
    first = [round_.shell] if round_.shell else []
    kernel = notebooks.start(python, *first)
    typed, quiet, _ = round_.typed.partition(" --quiet")
    what = "resume" if before else f"auto {ORDER}"
    cell = kernel.begin(f"{typed} {what} --save-every 1s{quiet}")

    def goes_on(seen: Cell) -> bool:
        """Whether something new is saved, and in the first round also seen to be trained."""
        is_saved = bool(manifests(work)) and newest(work)[0] > before
        return is_saved and (round_ != FAST[0] or "examples/s" in seen.text)

    kernel.watch(cell, lambda seen: seen.is_over or goes_on(seen))
    assert not cell.is_over, cell.text
    match round_.end:
        case "stop":
            kernel.interrupt()
            kernel.watch(cell, lambda seen: seen.is_over, 60)
        case "stop twice":
            kernel.interrupt()
            time.sleep(2.5)
            kernel.interrupt()
            kernel.watch(cell, lambda seen: seen.is_over, 30)
        case "restart":
            kernel.restart()
            assert "alive" in kernel.run("print('alive')").text
        case "kill":
            kernel.kill()
    give_up_s = time.monotonic() + 60
    while is_trained(work):
        assert time.monotonic() < give_up_s, "somebody goes on training"
        time.sleep(0.1)
    step, why = newest(work)
    assert step > before
    assert why == "final" or round_.end == "stop twice", round_
    if before and not quiet:
        assert f"goes on at step {before:,} of" in cell.stream
    assert "\x1b" not in cell.text
    if round_ == FAST[0]:
        assert f"step {step} of " in cell.stream
        assert "is saved; nothing is lost" in cell.stream
        assert cell.stream.count("Stop again to end it at once") == 1
        assert "ended with exit code 130" in cell.error
        [progress] = cell.displays.values()  # one, updated in its place
        assert any("examples/s" in text for text in progress)
        assert re.fullmatch(r"agnews (auto|resume): \d+ (s|min.*)", progress[-1])
    kernel.close()
    return step


def go_through(rounds, notebooks, python: Path, capsys) -> None:
    steps = [play(round_, notebooks, python) for round_ in rounds]
    assert steps == sorted(set(steps))
    with pytest.raises(SystemExit) as ended:
        main(["checkpoints", "verify", "--store", str(notebooks.folder / "agnews-runs")])
    assert ended.value.code == 0, capsys.readouterr()


def test_stopped_restarted_and_killed_once_each(notebooks, stock_python, capsys):
    go_through(FAST, notebooks, stock_python, capsys)


@pytest.mark.slow
def test_stopped_restarted_and_killed_twenty_times(notebooks, stock_python, colab_python, capsys):
    colab = [round_ for round_ in (*FAST, *OTHERS) if round_.shell]
    assert len(colab) == 11
    every = [(round_, colab_python) for round_ in colab]
    stock = [*FAST, *[round_ for round_ in OTHERS if round_.shell != COLAB]]
    every += [(round_, stock_python) for round_ in (*stock, FAST[1])]
    assert len(every) == 20
    for number, (round_, python) in enumerate(every, 1):
        step = play(round_, notebooks, python)
        with capsys.disabled():
            print(f"{number} of {len(every)}: {round_}, left at step {step}")
    go_through([FAST[1]], notebooks, stock_python, capsys)
