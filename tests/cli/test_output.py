"""Every sink with the stream it is for: a real pty, a real pipe, or a string."""

from __future__ import annotations

import io
import json
import os
import pty
import re
import subprocess
import sys
import termios
import threading
from collections.abc import Iterator, Mapping
from contextlib import suppress
from itertools import pairwise
from typing import Any, TextIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from agnews_cli.cli import screens
from agnews_cli.cli.output import Output
from agnews_cli.cli.progress import Progress
from agnews_cli.cli.sink import classify_sink
from agnews_cli.core.run.evaluation import (
    ClassFigures,
    Evaluation,
    Interval,
    Mistake,
    SplitEvaluation,
)
from agnews_cli.core.run.job import Candidate, Event, ReaderLeft
from agnews_cli.errors import BadDuration, CannotWrite, ReportedError

NOTEBOOK = {"JPY_PARENT_PID": "7", "TERM": "xterm-color"}
FORCED = {"FORCE_COLOR": "1", "CLICOLOR_FORCE": "1", "TTY_COMPATIBLE": "1", "TTY_INTERACTIVE": "1"}


class Clock:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


class Pty:
    """The side of a program that believes it has a terminal."""

    def __init__(self, columns: int, lines: int) -> None:
        self._master, slave = pty.openpty()
        termios.tcsetwinsize(slave, (lines, columns))
        self.stream: TextIO = os.fdopen(slave, "w", encoding="utf-8", newline="")
        self._seen = bytearray()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        while True:
            try:
                block = os.read(self._master, 65536)
            except OSError:  # EIO: the other side was closed
                return
            if not block:
                return
            self._seen += block

    @property
    def size(self) -> os.terminal_size:
        return os.get_terminal_size(self.stream.fileno())

    def close(self) -> str:
        """Everything written, with the line ends the program wrote."""
        if not self.stream.closed:
            self.stream.close()
            self._reader.join(10)
            os.close(self._master)
        return self._seen.decode().replace("\r\n", "\n")


@pytest.fixture
def terminal() -> Iterator[Pty]:
    made = Pty(80, 24)
    yield made
    made.close()


@pytest.fixture
def colab() -> Iterator[Pty]:
    made = Pty(0, 0)
    yield made
    made.close()


def event(kind: Any, elapsed_s: float = 0.0, **data: Any) -> Event:
    return Event(kind=kind, at="2026-11-23T10:00:00+00:00", elapsed_s=elapsed_s, data=data)


def step(number: int, elapsed_s: float = 0.0, **data: Any) -> Event:
    facts = {
        "candidate": "minilm",
        "step": number,
        "total_steps": 18000,
        "examples": number * 64,
        "examples_per_s": 321.5,
        "loss": 0.3127,
        "lr": 2e-5,
        "left_s": 725.0,
        "epoch": 0,
    }
    return event("progress", elapsed_s, **(facts | data))


def story(progress: Progress) -> None:
    progress.event(event("started", pid=42, world=1, device="cpu", precision="fp32", threads=2))
    progress.event(event("phase", name="fine-tuning"))
    progress.event(step(1))
    progress.event(event("validated", candidate="minilm", step=1, loss=0.3, accuracy=0.9, best=1))
    progress.event(event("note", text="a \x1b[31mred\x1b[0m note [bold]as is[/bold]"))
    progress.event(event("warning", text="the disk is slow"))
    progress.event(step(2))
    progress.event(
        event("candidate", name="minilm", validation_accuracy=0.91, seconds=65, elapsed_s=70)
    )
    progress.event(event("ended", state="completed"))


def simulate_hour(progress: Progress, clock: Clock) -> None:
    started_s = clock.now_s
    progress.event(event("phase", name="fine-tuning"))
    for number in range(18000):
        clock.now_s = started_s + number / 5
        progress.event(step(number + 1, number / 5))
    progress.event(event("ended", 3600.0, state="completed"))


# ---- where the lines go -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("env", "size", "sink"),
    [
        ({}, (80, 24), "terminal"),
        ({"TERM": "xterm-256color"}, (80, 24), "terminal"),
        ({"CI": "false"}, (80, 24), "terminal"),
        ({"COLAB_RELEASE_TAG": ""}, (80, 24), "terminal"),
        ({}, (0, 0), "notebook"),
        ({}, None, "notebook"),
        (NOTEBOOK, (80, 24), "notebook"),
        ({"KAGGLE_KERNEL_RUN_TYPE": "Interactive"}, (80, 24), "notebook"),
        ({"COLAB_RELEASE_TAG": "release-colab_1"}, (80, 24), "notebook"),
        (NOTEBOOK | {"KAGGLE_KERNEL_RUN_TYPE": "Batch"}, (80, 24), "plain"),
        ({"CI": "true"}, (80, 24), "plain"),
        ({"TERM": "dumb"}, (80, 24), "plain"),
    ],
)
def test_a_tty_is_classified(
    terminal: Pty, env: Mapping[str, str], size: tuple[int, int] | None, sink: str
) -> None:
    assert classify_sink(terminal.stream, env, size=size) == sink


@pytest.mark.parametrize("env", [{}, FORCED, NOTEBOOK, NOTEBOOK | FORCED])
def test_no_tty_is_plain(env: Mapping[str, str]) -> None:
    assert classify_sink(io.StringIO(), env, size=None) == "plain"
    assert classify_sink(None, env, size=None) == "plain"


def test_a_closed_stream_is_plain_and_broken() -> None:
    stream = io.StringIO()
    stream.close()
    out = Output(stream=stream, env={})
    assert out.sink == "plain"
    out.say("nobody hears this")
    assert out.is_broken


def test_a_window_without_size_gets_one(colab: Pty) -> None:
    out = Output(stream=colab.stream, env=NOTEBOOK)
    assert out.sink == "notebook"
    assert colab.size == (100, 24)


def test_a_window_with_size_keeps_it(terminal: Pty) -> None:
    Output(stream=terminal.stream, env={})
    assert terminal.size == (80, 24)


# ---- progress -----------------------------------------------------------------------------------


@pytest.mark.parametrize("sink", ["terminal", "notebook", "plain"])
def test_reading_and_evaluating_show_how_far_they_are_and_how_fast(
    sink: str, request: pytest.FixtureRequest
) -> None:
    facts = {"name": "reading training rows", "done": 1_200_000, "total": 2_350_000}
    work = event("work", 6.0, **facts, per_s=210_000.0, left_s=5.5)
    if sink == "plain":
        stream: Any = io.StringIO()
        out = Output(stream=stream, env=FORCED)
    else:
        pty = request.getfixturevalue("terminal" if sink == "terminal" else "colab")
        stream = pty.stream
        out = Output(stream=stream, error_stream=stream, env={} if sink == "terminal" else NOTEBOOK)
    with out.progress() as progress:
        progress.event(work)
        progress.event(event("ended", 7.0, state="completed"))
    shown = stream.getvalue() if sink == "plain" else pty.close()
    assert "reading training rows" in shown
    assert "1,200,000/2,350,000 (51%)" in shown
    if sink != "terminal":  # there a bar is drawn four times a second
        assert "210,000 rows/s, 6 s left" in shown


def test_plain_says_one_line_each_half_minute_and_one_an_event() -> None:
    stream, clock = io.StringIO(), Clock()
    out = Output(stream=stream, env=FORCED, clock=clock)
    with out.progress() as progress:
        simulate_hour(progress, clock)
    lines = stream.getvalue().splitlines()
    assert 110 <= len(lines) <= 130
    assert lines[0] == "0:00:00  fine-tuning"
    assert lines[2] == (
        "0:00:30  fine-tuning minilm  151/18,000 (0%)  322 examples/s, 12 min 05 s left, loss 0.313"
    )
    assert lines[-1] == "1:00:00  work completed"


def test_plain_has_no_escape_codes_whatever_the_environment_forces(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in FORCED:
        monkeypatch.setenv(name, "1")
    stream, errors = io.StringIO(), io.StringIO()
    out = Output(stream=stream, error_stream=errors, env=FORCED)
    with out.progress() as progress:
        story(progress)
        out.screen(*screens.evaluation_screen(evaluation(4)))
    out.screen(*screens.evaluation_screen(evaluation(14)))
    out.warn("careful\x1b[31m")
    out.error(BadDuration(option="budget", given="soon", problem="not a duration", like="45m"))
    written = stream.getvalue() + errors.getvalue()
    assert len(written) > 2000
    assert "\x1b" not in written
    assert "\r" not in written
    assert "a red note [bold]as is[/bold]" in written
    assert "validated minilm at step 1: accuracy 90.00%, loss 0.3000, best so far" in written
    assert "trained minilm: validation accuracy 91.00% in 1 min 05 s" in written
    assert all(line == line.rstrip() for line in written.splitlines())


def test_a_real_pipe_gets_no_escape_codes() -> None:
    code = (
        "from agnews_cli.cli.output import Output\n"
        "from agnews_cli.core.run.job import Event\n"
        "out = Output()\n"
        "with out.progress() as p:\n"
        "    p.event(Event(kind='phase', at='', elapsed_s=0, data={'name': 'tokenising'}))\n"
        "out.table(('a', 'b'), [('x', 1), ('y', 2)])\n"
    )
    env = os.environ | FORCED | NOTEBOOK
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    assert "tokenising" in done.stdout
    assert "\x1b" not in done.stdout


def test_notebook_renews_one_line_once_a_second_at_most(colab: Pty) -> None:
    clock = Clock()
    out = Output(stream=colab.stream, env=NOTEBOOK | FORCED, clock=clock)
    with out.progress() as progress:
        progress.event(event("phase", name="fine-tuning"))
        for number in range(50):  # ten seconds at 5 Hz
            clock.now_s += 0.2
            progress.event(step(number + 1, number / 5, loss=1e6 if number == 0 else 0.1))
        progress.event(event("validated", candidate="minilm", step=50, loss=0.3, accuracy=0.9))
    written = colab.close()
    assert "\x1b" not in written
    assert written.count("\r") == 11  # ten seconds, and the line that stays
    first, shown, *rest = written.split("\n")
    assert first == "0:00:00  fine-tuning"
    assert rest == [""]
    renewals = shown.split("\r")[1:]
    # Each covers what the one before left on the screen.
    for before, after in pairwise(renewals):
        assert len(after) >= len(before.rstrip())
    assert max(map(len, renewals)) < 100
    assert "validated minilm at step 50: accuracy 90.00%" in renewals[-1]


def test_an_hour_in_a_notebook_is_less_than_a_megabyte(colab: Pty) -> None:
    clock = Clock()
    out = Output(stream=colab.stream, env=NOTEBOOK, clock=clock)
    with out.progress() as progress:
        simulate_hour(progress, clock)
    written = colab.close()
    assert 50_000 < len(written) < 200_000  # renewed less and less often
    assert written.endswith("\n")
    assert written.splitlines()[-1].rstrip() == "1:00:00  work completed"


def test_a_notebook_line_that_was_left_ends() -> None:
    made = Pty(0, 0)
    out = Output(stream=made.stream, env=NOTEBOOK, clock=Clock())
    with pytest.raises(KeyError), out.progress() as progress:
        progress.event(step(1))
        raise KeyError
    assert made.close().endswith("\n")


def test_terminal_shows_a_bar_and_leaves_finished_lines(terminal: Pty) -> None:
    out = Output(stream=terminal.stream, env={"TERM": "xterm-256color"})
    with out.progress() as progress:
        story(progress)
        out.say("said above the bar")
        out.screen("shown above the bar", screens.key_values([("name", "value")]))
        progress.event(step(9000))
        threading.Event().wait(0.6)  # the bar is drawn four times a second
    written = terminal.close()
    assert written.rfind("\x1b[?25h") > written.rfind("\x1b[?25l") >= 0  # the cursor is back
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", written)
    assert "9,000/18,000 (50%)" in plain
    assert "322 examples/s, 12 min 05 s left, loss 0.313" in plain
    for line in (
        "validated minilm at step 1: accuracy 90.00%, loss 0.3000, best so far",
        "a red note [bold]as is[/bold]",
        "warning: the disk is slow",
        "trained minilm: validation accuracy 91.00% in 1 min 05 s",
        "said above the bar",
        "shown above the bar",
    ):
        assert line in plain


def colours(text: str) -> list[str]:
    """Colours alone: bold and dim are none."""
    codes = [code for found in re.findall(r"\x1b\[([\d;]*)m", text) for code in found.split(";")]
    return [code for code in codes if code[:1] in {"3", "4", "9"} or code[:2] == "10"]


@pytest.mark.parametrize("is_plain", [False, True])
def test_no_color_is_obeyed(terminal: Pty, is_plain: bool) -> None:
    env = {"TERM": "xterm-256color"} | FORCED | ({"NO_COLOR": "1"} if is_plain else {})
    out = Output(stream=terminal.stream, error_stream=terminal.stream, env=env)
    with out.progress() as progress:
        story(progress)
        threading.Event().wait(0.4)
    out.warn("careful")
    out.error(BadDuration(option="budget", given="soon", problem="not a duration", like="45m"))
    written = terminal.close()
    assert "hint: Try --budget 45m" in written
    assert bool(colours(written)) is not is_plain


def test_quiet_leaves_results_and_errors() -> None:
    stream, errors = io.StringIO(), io.StringIO()
    out = Output(quiet=True, stream=stream, error_stream=errors, env={})
    with out.progress() as progress:
        story(progress)
    out.say("said")
    out.warn("warned")
    out.screen("the plan", is_result=False)
    assert stream.getvalue() + errors.getvalue() == ""
    out.screen("the result")
    out.error(BadDuration(option="budget", given="soon", problem="not a duration", like="45m"))
    assert stream.getvalue() == "the result\n"
    assert errors.getvalue().startswith("error: --budget 'soon' is not a duration")


@pytest.mark.parametrize(
    "data",
    [{}, {"step": None, "loss": None}, {"step": "x", "total_steps": 0, "loss": float("nan")}],
)
def test_events_with_missing_or_odd_data_are_shown(data: dict[str, Any]) -> None:
    stream = io.StringIO()
    out = Output(stream=stream, env={})
    kinds = ("started", "phase", "progress", "validated", "candidate", "note", "warning", "ended")
    with out.progress() as progress:
        for kind in kinds:
            progress.event(event(kind, **data))
    assert len(stream.getvalue().splitlines()) == len(kinds)


def test_a_loss_that_is_not_finite_is_said() -> None:
    stream = io.StringIO()
    with Output(stream=stream, env={}).progress() as progress:
        progress.event(event("validated", step=3, loss=float("nan"), accuracy=0.25, best=False))
    assert stream.getvalue() == "0:00:00  validated at step 3: accuracy 25.00%, loss nan\n"


# ---- json ---------------------------------------------------------------------------------------


def test_json_puts_one_document_on_standard_output() -> None:
    stream, errors = io.StringIO(), io.StringIO()
    out = Output(json=True, quiet=False, stream=stream, error_stream=errors, env={})
    with out.progress() as progress:
        story(progress)
    out.say("said")
    out.warn("warned")
    out.screen("the plan", is_result=False)
    out.screen(*screens.evaluation_screen(evaluation(4)))
    out.table(("a",), [(1,)])
    out.result({"schema": "agnews.result/1", "loss": float("nan"), "evaluation": evaluation(4)})
    out.error(
        BadDuration(option="budget", given="soon", problem="not a duration", like="45m")
    )  # one document all the same
    document = json.loads(stream.getvalue())
    assert document["loss"] is None
    assert document["evaluation"]["labels"] == list(evaluation(4).labels)
    people = errors.getvalue()
    assert "said\n" in people
    assert "warning: warned\n" in people
    assert "the plan\n" in people
    assert "work completed" in people
    with pytest.raises(RuntimeError):
        out.result({})


@pytest.mark.parametrize(
    ("error", "kind", "code"),
    [
        (
            BadDuration(option="budget", given="soon", problem="not a duration", like="45m"),
            "BadDuration",
            2,
        ),
        (ReportedError("it broke", "mend it", 70, "NonFiniteLoss"), "NonFiniteLoss", 70),
    ],
)
def test_json_error_is_the_one_document(error: Any, kind: str, code: int) -> None:
    stream, errors = io.StringIO(), io.StringIO()
    Output(json=True, quiet=True, stream=stream, error_stream=errors, env={}).error(error)
    assert json.loads(stream.getvalue()) == {
        "schema": "agnews.result/1",
        "state": "failed",
        "error": {
            "kind": kind,
            "message": error.message,
            "hint": error.advice,
            "exit_code": code,
        },
    }
    assert errors.getvalue() == f"error: {error.message}\nhint: {error.advice}\n"


def test_without_json_there_is_no_document() -> None:
    stream = io.StringIO()
    Output(stream=stream, env={}).result({"schema": "agnews.result/1"})
    assert stream.getvalue() == ""


# ---- nobody listens -----------------------------------------------------------------------------


@pytest.mark.parametrize("is_json", [False, True])
def test_a_broken_pipe_is_silent_and_ends_progress(is_json: bool) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    stream = os.fdopen(writer, "w", encoding="utf-8")
    out = Output(json=is_json, stream=stream, error_stream=stream, env={})
    with pytest.raises(ReaderLeft), out.progress() as progress:
        story(progress)
    out.say("x" * 100_000)
    out.screen(screens.key_values([("a", "b")]))
    out.result({"a": 1})
    assert out.is_broken
    with pytest.raises(BrokenPipeError):  # Python's own buffer still holds a line
        stream.close()


def test_a_terminal_that_hung_up_is_silent_and_ends_progress() -> None:
    master, slave = pty.openpty()
    termios.tcsetwinsize(slave, (24, 80))
    stream = os.fdopen(slave, "w", encoding="utf-8")
    out = Output(stream=stream, error_stream=stream, env={"TERM": "xterm"})
    with out.progress() as progress:
        os.close(master)
        with pytest.raises(ReaderLeft):
            story(progress)
        out.say("y")
    assert out.is_broken
    with suppress(OSError):  # what Python's own buffer still holds
        stream.close()


def test_a_process_whose_reader_left_ends_well() -> None:
    code = (
        "from agnews_cli.cli.output import Output\n"
        "import time\n"
        "out = Output()\n"
        "for _ in range(1000): out.say('x' * 1000)\n"
        "assert out.is_broken\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    with process.stderr:
        assert process.stderr.read() == ""
    assert process.wait(60) == 0


@pytest.mark.skipif(not os.access("/dev/full", os.W_OK), reason="no /dev/full here")
def test_a_result_that_does_not_fit_the_disk_is_an_error() -> None:
    stream = open("/dev/full", "w", encoding="utf-8")  # noqa: PTH123, SIM115
    out = Output(json=True, stream=stream, error_stream=io.StringIO(), env={})
    with pytest.raises(CannotWrite, match="standard output: No space left"):
        out.result({"a": 1})
    with pytest.raises(OSError, match="No space left"):
        stream.close()


def test_characters_that_do_not_fit_are_replaced() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii", newline="\n")
    out = Output(stream=stream, env={})
    out.say("World → Sports")
    out.screen(screens.table(("名",), [("…",)]))
    assert raw.getvalue().startswith(b"World ? Sports\n")


# ---- screens ------------------------------------------------------------------------------------


def evaluation(classes: int, *, label: str = "class number {}") -> Evaluation:
    labels = tuple(label.format(number) for number in range(classes))
    figure = Interval(value=0.9412, low=0.9357, high=0.9463, method="wilson")
    split = SplitEvaluation(
        rows=7600,
        accuracy=figure,
        macro_f1=figure,
        loss=0.1834,
        calibration_error=0.0123,
        classes=tuple(
            ClassFigures(label=name, precision=0.9, recall=0.8, f1=0.85 - place / 1000, rows=1900)
            for place, name in enumerate(labels)
        ),
        confusion=tuple(
            tuple(1800 if true == seen else true * 7 + seen for seen in range(classes))
            for true in range(classes)
        ),
        mistakes=tuple(
            Mistake(
                row=row,
                text="Oil \x1b[2J\x1b]0;owned\x07prices\r\nrise [red]again[/red] " * 20,
                label=labels[0],
                predicted=labels[1],
                probability=0.914,
            )
            for row in range(8)
        ),
    )
    return Evaluation(labels=labels, validation=split, test=split)


def shown(*parts: Any) -> list[str]:
    stream = io.StringIO()
    Output(stream=stream, env={}).screen(*parts)
    return stream.getvalue().splitlines()


@pytest.mark.parametrize("classes", [2, 4, 12, 13, 14, 15, 77])
@pytest.mark.parametrize(
    "label", ["{}", "class number {}", "{} a very long name" + " and so on" * 20]
)
def test_an_evaluation_fits_one_screen(classes: int, label: str) -> None:
    lines = shown(*screens.evaluation_screen(evaluation(classes, label=label)))
    assert 20 <= len(lines) <= 45
    assert max(map(len, lines)) <= 100
    text = "\n".join(lines)
    assert "94.12%  (95% interval 93.57 to 94.63)" in text
    assert "calibration error  1.23%" in text
    assert ("Biggest confusions" in text) == (classes > 12)
    assert text.count("91%: ") + text.count("[red]") >= 3
    assert "\x1b" not in text
    assert "owned" not in text


@pytest.mark.parametrize("classes", [4, 12, 14])
def test_an_evaluation_fits_a_terminal_of_80_columns(terminal: Pty, classes: int) -> None:
    out = Output(stream=terminal.stream, env={"TERM": "xterm-256color", "NO_COLOR": "1"})
    out.screen(*screens.evaluation_screen(evaluation(classes, label="Name{}")))
    lines = terminal.close().splitlines()
    assert len(lines) <= 45
    assert max(map(len, lines)) <= 80


def test_the_biggest_confusions_come_first() -> None:
    lines = shown(*screens.evaluation_screen(evaluation(13), sections=("confusion",)))
    assert len(lines) == 11
    assert lines[1] == "95  class number 12 → class number 11"


def test_class_names_that_shorten_to_the_same_are_numbered() -> None:
    figures = evaluation(12, label="rec.sport.long.name.{}")
    lines = shown(*screens.evaluation_screen(figures, sections=("confusion",)))
    assert lines[0].split() == ["true", "\\", "predicted", *map(str, range(1, 13))]
    assert lines[2].startswith("1 rec.sport.lon…")


def test_the_validation_split_is_shown_without_a_test_split() -> None:
    figures = evaluation(4).model_copy(update={"test": None})
    lines = shown(*screens.evaluation_screen(figures))
    assert lines[0] == "Validation, as no test rows were asked: 7,600 rows"


def test_candidates_and_plans_are_tables() -> None:
    candidates = (
        Candidate(
            name="linear",
            kind="linear",
            validation_accuracy=0.9,
            validation_loss=0.3,
            seconds=12,
            weight=0.0,
        ),
        Candidate(
            name="minilm",
            kind="finetune",
            validation_accuracy=0.94,
            validation_loss=0.18,
            seconds=605,
            weight=1.0,
        ),
    )
    lines = shown(screens.candidates_table(candidates))
    assert lines[2].split() == ["linear", "90.00%", "0.3000", "12", "s", "–"]
    assert lines[3].split() == ["minilm", "94.00%", "0.1800", "10", "min", "05", "s", "100%"]
    assert shown(screens.key_values([("model", "minilm"), ("time", "10 min")])) == [
        "model  minilm",
        "time   10 min",
    ]


def test_text_of_others_cannot_command_the_terminal() -> None:
    hostile = "a\x1b[2J\x1b]8;;http://x\x1b\\b\x9b31mc\x07\u202ed\te\rf"
    assert "".join(screens.clean(hostile).split()) == "ab31mcdef"
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", screens.clean(hostile))
    assert screens.one_line("a\r\nb\u2028c  d", 5) == "a b…"
    assert screens.one_line("abcde", 5) == "abcde"


def test_rows_on_a_terminal_cannot_command_it_and_are_left_as_they_are_in_a_pipe(terminal) -> None:
    """As `agnews predict FILE` writes them: somebody else's texts."""
    row = 'x,"a\x1b]52;c;aGk=\x07b\x1b[2J\x9b31m\u202ec\u200fd"\n'
    Output(stream=terminal.stream, env={}).write(row)
    assert terminal.close().replace("\r", "") == 'x,"ab31mcd"\n'
    piped = io.StringIO()
    Output(stream=piped, env={}).write(row)
    assert piped.getvalue() == row


def test_start_up_needs_no_rich() -> None:
    code = (
        "import sys\n"
        "from agnews_cli.cli.output import Output\n"
        "Output(stream=open('/dev/null', 'w')).say('x')\n"
        "assert 'rich' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_long_lines_break_at_words_on_a_terminal_and_nowhere_else() -> None:
    line = "  - preset minilm: " + "small words that go on " * 10
    master, slave = pty.openpty()
    termios.tcsetwinsize(slave, (24, 60))
    with os.fdopen(slave, "w", encoding="utf-8") as stream:
        Output(stream=stream, env={"TERM": "xterm"}).screen(line)
        shown = os.read(master, 10_000).decode().splitlines()
    os.close(master)
    assert len(shown) > 3
    assert all(len(part) <= 60 and part.startswith("    ") for part in shown[1:])
    assert " ".join(" ".join(shown).split()) == " ".join(line.split())
    piped = io.StringIO()
    Output(stream=piped, env={}).screen(line)
    assert piped.getvalue().splitlines() == [line]


# ---- lines that are broken ----------------------------------------------------------------------


def test_prose_is_broken_at_words_and_a_command_stays_in_one_piece():
    """Seen: `agnews quota` and `set colab gpu` on two lines, which a shell takes for two."""
    command = "agnews resume minilm-4ff136125f --store '/home/me/its runs' --store s3://bucket/runs"
    said = screens.paragraph(
        f"hint: What is done is kept. Mend that, then go on with: {command}", 60
    )
    assert said.splitlines() == ["hint: What is done is kept. Mend that, then go on with:", command]
    error = "error: agnews compare needs RUN: finished runs, or the beginning of an id of one"
    lines = screens.paragraph(error, 40).splitlines()
    assert max(map(len, lines)) <= 40 and " ".join(lines) == error


def test_a_name_in_a_table_is_in_one_piece_whatever_stands_beside_it():
    """Seen: `deberta-v3-large-lor` and `a`, which nobody can copy."""
    name = "deberta-v3-base-from-ensemble"
    row = (name, "distilled", "distillation", "184 M", "many words " * 12)
    table = screens.table(("name", "tier", "method", "weights", "good for"), [row])
    stream = io.StringIO()
    Console(file=stream, width=60).print(table)
    assert any(line.startswith(name) for line in stream.getvalue().splitlines())


_CELLS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**6), 10**6),
    st.floats(-1e3, 1e3).map(lambda value: round(value, 2)),
    st.sampled_from(["1,204", "98.3%", "–", "", "two words", "名前", "a\tb", "\x1b[1mred", " in "]),
)


@given(
    st.lists(st.sampled_from(["run", "test rows", "名"]), min_size=1, max_size=5).flatmap(
        lambda columns: st.tuples(
            st.just(columns),
            st.lists(st.tuples(*[_CELLS] * len(columns)), max_size=4),
        )
    )
)
def test_a_table_in_a_pipe_is_the_terminals_without_its_colours(
    table: tuple[list[str], list[tuple[object, ...]]],
) -> None:
    columns, rows = table
    piped, drawn = io.StringIO(), io.StringIO()
    Output(stream=piped, env={}).table(columns, rows)
    Output(stream=drawn, env={}).screen(screens.table(columns, rows))
    assert piped.getvalue() == drawn.getvalue()
    assert screens.plain_table(columns, rows) is not None


@pytest.mark.parametrize("cell", ["x" * 120, "two\nlines"])
def test_a_cell_that_must_be_folded_is_folded_in_a_pipe_too(cell: str) -> None:
    piped = io.StringIO()
    Output(stream=piped, env={}).table(("a", "b"), [(1, cell)])
    assert screens.plain_table(("a", "b"), [(1, cell)]) is None
    assert max(map(len, piped.getvalue().splitlines())) <= screens.WIDTH
