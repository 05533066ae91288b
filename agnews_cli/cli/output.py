"""The only place that prints: one result, three renderings (rich, plain, `--json`).

Where the lines go is found out once, from the stream people read (standard output, or standard
error under `--json`):

- *terminal*: a live bar with finished lines above it;
- *notebook*: one line renewed with a carriage return, once a second at most. Output areas do not
  honour cursor movements, and a live bar writes 15 MB an hour into the notebook;
- *plain*: a line every half minute and no escape code ever, whatever FORCE_COLOR says (ipykernel 7
  sets it for children).

Nobody reading is no reason to stop training: a broken pipe makes Output silent, never raises.
"""

from __future__ import annotations

import errno
import math
import os
import sys
import time
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import IO, TYPE_CHECKING, Any, Literal, Protocol, TextIO, cast

from agnews_cli.cli import screens
from agnews_cli.cli.screens import clean, one_line, percent
from agnews_cli.core import duration
from agnews_cli.errors import AgnewsError, CannotWrite

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.live import Live
    from rich.progress import Progress as Bar
    from rich.progress import TaskID

    from agnews_cli.core.job import Event

Sink = Literal["terminal", "notebook", "plain"]
Size = tuple[int, int]
"""Columns and lines."""

RESULT_SCHEMA = "agnews.result/1"

_NOTEBOOK_EVERY_S = 1.0
_PLAIN_EVERY_S = 30.0
_RED, _YELLOW = "31;1", "33"


def classify_sink(
    stream: TextIO | None, env: Mapping[str, str], *, size: tuple[int, int] | None
) -> Sink:
    """Who reads `stream`. `size` is its window (columns, lines), None where it has none.

    A pipe or file is plain even inside a notebook: `!agnews … | tee log` shall not fill the log
    with carriage returns.
    """
    if env.get("KAGGLE_KERNEL_RUN_TYPE", "").lower() == "batch":
        return "plain"
    if env.get("CI", "").lower() not in {"", "0", "false"}:
        return "plain"
    if type(stream).__module__.partition(".")[0] == "ipykernel":
        return "notebook"  # in the kernel itself, where isatty() is False
    if not _is_tty(stream) or env.get("TERM", "").lower() in {"dumb", "unknown"}:
        return "plain"
    markers = ("JPY_PARENT_PID", "KAGGLE_KERNEL_RUN_TYPE", "COLAB_RELEASE_TAG")
    if any(env.get(name) for name in markers):
        return "notebook"
    is_real = size is not None and min(size) > 0
    return "terminal" if is_real else "notebook"


def _is_tty(stream: TextIO | None) -> bool:
    try:
        return stream is not None and stream.isatty()
    except ValueError:  # closed
        return False


def _window(stream: Any) -> Size | None:
    try:
        columns, lines = os.get_terminal_size(stream.fileno())
    except (OSError, ValueError, AttributeError):
        return None
    return columns, lines


def _mend_window(stream: Any) -> None:
    """Give a window of 0 × 0 (Colab's) a size, for the libraries that divide by it or go silent."""
    import termios

    with suppress(OSError, ValueError, termios.error):
        termios.tcsetwinsize(stream.fileno(), (24, screens.WIDTH))


class _Stream:
    """A text stream whose reader may leave: writing never raises, and characters always fit."""

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream
        self.fault: OSError | ValueError | None = None
        self.is_broken = stream is None
        self.encoding = (stream and stream.encoding) or "utf-8"

    def write(self, text: str) -> int:
        if self._stream is not None and not self.is_broken:
            try:
                try:
                    self._stream.write(text)
                except UnicodeEncodeError:
                    fitting = text.encode(self.encoding, "replace").decode(self.encoding)
                    self._stream.write(fitting)
            except (OSError, ValueError) as fault:
                self._give_up(fault)
        return len(text)

    def flush(self) -> None:
        if self._stream is not None and not self.is_broken:
            try:
                self._stream.flush()
            except (OSError, ValueError) as fault:
                self._give_up(fault)

    def isatty(self) -> bool:
        return _is_tty(self._stream)

    def fileno(self) -> int:
        if self._stream is None:
            raise OSError(errno.EBADF, "the stream is closed")
        return self._stream.fileno()

    def line(self, text: str) -> None:
        self.write(text + "\n")
        self.flush()

    def _give_up(self, fault: OSError | ValueError) -> None:
        self.is_broken = True
        self.fault = fault
        # What is still buffered would be written again when Python exits, and fail there.
        if self._stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, self.fileno())
                os.close(nowhere)


# ---- what a training run looks like now ---------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Picture:
    phase: str = ""
    candidate: str = ""
    step: int | None = None
    total_steps: int | None = None
    examples_per_s: float | None = None
    left_s: float | None = None
    loss: float | None = None
    accuracy: float | None = None

    def after(self, event: Event) -> _Picture:
        data = event.data
        if event.kind == "phase":
            return _Picture(phase=_word(data, "name"), accuracy=self.accuracy)
        if event.kind == "candidate":
            return _Picture(phase=self.phase)
        if event.kind == "validated":
            return replace(self, accuracy=_figure(data, "accuracy"))
        if event.kind != "progress":
            return self
        candidate = _word(data, "candidate")
        is_other = bool(self.candidate) and candidate != self.candidate
        return _Picture(
            phase=self.phase,
            candidate=candidate,
            step=_whole(data, "step"),
            total_steps=_whole(data, "total_steps"),
            examples_per_s=_figure(data, "examples_per_s"),
            left_s=_figure(data, "left_s"),
            loss=_figure(data, "loss"),
            accuracy=None if is_other else self.accuracy,
        )

    @property
    def title(self) -> str:
        return " ".join(part for part in (self.phase, self.candidate) if part) or "training"

    @property
    def count(self) -> str:
        if self.step is None:
            return ""
        if not self.total_steps:
            return f"step {self.step:,}"
        share = 100 * self.step // self.total_steps
        return f"{self.step:,}/{self.total_steps:,} ({share}%)"

    @property
    def details(self) -> str:
        parts = []
        if self.examples_per_s is not None:
            digits = 0 if self.examples_per_s >= 100 else 1
            parts.append(f"{self.examples_per_s:,.{digits}f} examples/s")
        if self.left_s is not None:
            parts.append(f"{duration.show(self.left_s)} left")
        if self.loss is not None:
            parts.append(f"loss {self.loss:.3f}")
        if self.accuracy is not None:
            parts.append(f"validation {percent(self.accuracy)}")
        return ", ".join(parts)

    @property
    def line(self) -> str:
        return "  ".join(part for part in (self.title, self.count, self.details) if part)


def _word(data: Mapping[str, Any], key: str) -> str:
    value = data.get(key)
    return "" if value is None else one_line(str(value))


def _figure(data: Mapping[str, Any], key: str) -> float | None:
    value = data.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def _whole(data: Mapping[str, Any], key: str) -> int | None:
    figure = _figure(data, key)
    return None if figure is None else int(figure)


def _finished_line(event: Event) -> str | None:
    """The line that stays after `event`; None for progress and phases, which pass."""
    data = event.data
    match event.kind:
        case "started":
            world = _whole(data, "world") or 1
            threads = _whole(data, "threads")
            parts = [
                f"{world} × {_word(data, 'device')}" if world > 1 else _word(data, "device"),
                _word(data, "precision"),
                f"{threads} threads" if threads else "",
                f"process {_word(data, 'pid')}" if data.get("pid") else "",
            ]
            return "training on " + ", ".join(part for part in parts if part)
        case "validated":
            # A figure that is not finite is said as such: that is when people need to see it.
            marks = [f"accuracy {_shown(data, 'accuracy', percent)}"]
            marks.append(f"loss {_shown(data, 'loss', '{:.4f}'.format)}")
            if data.get("best"):
                marks.append("best so far")
            where = " ".join(part for part in (_word(data, "candidate"), _at_step(data)) if part)
            return f"validated {where}: {', '.join(marks)}"
        case "candidate":
            seconds = _figure(data, "seconds")
            took = "" if seconds is None else f" in {duration.show(seconds)}"
            accuracy = _shown(data, "validation_accuracy", percent)
            return f"trained {_word(data, 'name')}: validation accuracy {accuracy}{took}"
        case "resumed":
            return f"goes on {_at_step(data)} of {data.get('total_steps')}, exactly as it stood"
        case "saved":
            return f"saved {_at_step(data)} ({_word(data, 'seconds')} s)"
        case "note":
            return _word(data, "text")
        case "warning":
            return "warning: " + _word(data, "text")
        case "ended":
            return f"training {_word(data, 'state')}"
        case _:
            return None


def _at_step(data: Mapping[str, Any]) -> str:
    step = _whole(data, "step")
    return "" if step is None else f"at step {step:,}"


def _shown(data: Mapping[str, Any], key: str, how: Callable[[float], str]) -> str:
    figure = _figure(data, key)
    return str(data.get(key, "unknown")) if figure is None else how(figure)


def _stamped(elapsed_s: float, line: str) -> str:
    whole = max(0, int(elapsed_s))
    return f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}  {line}"


# ---- one renderer of training a sink ------------------------------------------------------------


class Progress(Protocol):
    """Shows the events of a training run as they come."""

    def event(self, event: Event) -> None: ...

    def say(self, text: str) -> None: ...


class _Renderer(Progress, Protocol):
    def close(self) -> None: ...


class _Nothing:
    def event(self, event: Event) -> None:
        pass

    def say(self, text: str) -> None:
        pass

    def close(self) -> None:
        pass


class _PlainProgress:
    def __init__(self, stream: _Stream, clock: Callable[[], float]) -> None:
        self._stream = stream
        self._clock = clock
        self._picture = _Picture()
        self._shown_s = -math.inf

    def event(self, event: Event) -> None:
        self._picture = self._picture.after(event)
        if event.kind == "progress":
            now_s = self._clock()
            if now_s - self._shown_s >= _PLAIN_EVERY_S:
                self._shown_s = now_s
                self._stream.line(_stamped(event.elapsed_s, self._picture.line))
            return
        line = self._picture.title if event.kind == "phase" else _finished_line(event)
        self._stream.line(_stamped(event.elapsed_s, line or ""))

    def say(self, text: str) -> None:
        self._stream.line(text)

    def close(self) -> None:
        pass


class _NotebookProgress:
    """Phases stay as lines of their own: one may last minutes without another event."""

    def __init__(self, stream: _Stream, clock: Callable[[], float], columns: int) -> None:
        self._stream = stream
        self._clock = clock
        self._width = columns - 1  # a full line would wrap, and could not be renewed
        self._picture = _Picture()
        self._renewed_s = -math.inf
        self._length = 0
        """Characters of the renewed line that is on screen; 0 when there is none."""

    def event(self, event: Event) -> None:
        self._picture = self._picture.after(event)
        if event.kind == "progress":
            now_s = self._clock()
            if now_s - self._renewed_s >= _NOTEBOOK_EVERY_S:
                self._renewed_s = now_s
                self._renew(_stamped(event.elapsed_s, self._picture.line))
            return
        line = self._picture.title if event.kind == "phase" else _finished_line(event)
        self.say(_stamped(event.elapsed_s, line or ""))

    def _renew(self, text: str) -> None:
        line = _cut(text, self._width)
        self._stream.write("\r" + line.ljust(self._length))
        self._stream.flush()
        self._length = len(line)

    def say(self, text: str) -> None:
        first, *rest = text.split("\n")
        start = "\r" + first.ljust(self._length) if self._length else first
        self._length = 0
        self._stream.line("\n".join([start, *rest]))

    def close(self) -> None:
        if self._length:
            self._length = 0
            self._stream.line("")


def _cut(text: str, width: int) -> str:
    """`text`, already one line, cut to `width` with its inner spacing kept."""
    return text if len(text) <= width else text[: width - 1] + "…"


class _TerminalProgress:
    def __init__(self, console: Console) -> None:
        from rich.live import Live
        from rich.progress import BarColumn, SpinnerColumn, TextColumn
        from rich.progress import Progress as Bar

        self._console = console
        self._picture = _Picture()
        self._bar: Bar = Bar(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=30),
            TextColumn("{task.fields[count]}", markup=False),
            console=console,
        )
        self._task: TaskID = self._bar.add_task("starting", total=None, count="")
        # Standard output may carry the JSON object, so it is never redirected into the bar.
        self._live: Live = Live(
            self._bar,
            console=console,
            refresh_per_second=4,
            transient=True,
            redirect_stdout=False,
        )
        self._live.start(refresh=True)

    def event(self, event: Event) -> None:
        from rich.console import Group
        from rich.text import Text

        _fit(self._console)
        self._picture = picture = self._picture.after(event)
        line = _finished_line(event)
        if line is not None:
            self._print(line, "yellow" if event.kind == "warning" else "")
        self._bar.update(
            self._task,
            description=picture.title,
            total=picture.total_steps,
            completed=picture.step or 0,
            count=picture.count,
        )
        # A second line that is always there: the bar does not jump when figures come and go.
        details = Text(f"  {picture.details}", no_wrap=True, overflow="ellipsis")
        self._live.update(Group(self._bar, details))

    def say(self, text: str) -> None:
        self._print(text, "")

    def _print(self, text: str, style: str) -> None:
        from rich.text import Text

        self._console.print(Text(text, style=style), soft_wrap=True)

    def close(self) -> None:
        self._live.stop()


def _fit(console: Console) -> None:
    """Follow the window of the console's own stream; rich would ask standard input's."""
    size = _window(console.file)
    if size is not None and min(size) > 0:
        console.size = size


# ---- the one door -------------------------------------------------------------------------------


class Output:
    """All that a command shows. Build one a command; `error` is for the error boundary.

    Without `--json`: `say`, `screen`, `table` and progress go to standard output, `warn` and
    `error` to standard error. With it: `result` alone goes to standard output, what people read
    goes to standard error. With `--quiet`: only results and errors.
    """

    def __init__(
        self,
        *,
        json: bool = False,
        quiet: bool = False,
        stream: TextIO | None = None,
        error_stream: TextIO | None = None,
        env: Mapping[str, str] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.is_json = json
        self.is_quiet = quiet
        self._env = os.environ if env is None else env
        self._clock = clock
        # None where the file descriptor was closed: `agnews … >&-`.
        standard = cast("TextIO | None", sys.stdout) if stream is None else stream
        errors = cast("TextIO | None", sys.stderr) if error_stream is None else error_stream
        self._out = _Stream(standard)
        self._err = _Stream(errors)
        self._people = self._err if json else self._out
        size = _window(self._people)
        self.sink: Sink = classify_sink(errors if json else standard, self._env, size=size)
        self._err_sink: Sink = classify_sink(errors, self._env, size=_window(self._err))
        for each in (self._out, self._err):
            if each.isatty() and min(_window(each) or (1, 1)) <= 0:
                _mend_window(each)
        self._live: _Renderer | None = None
        self._made: Console | None = None
        self._has_result = False

    @property
    def is_broken(self) -> bool:
        """Whether the people reading have left (a broken pipe, a closed notebook)."""
        return self._people.is_broken

    # ---- lines

    def say(self, text: str) -> None:
        """A line for people; nothing with `--quiet`."""
        if self.is_quiet:
            return
        if self._live is not None:
            self._live.say(clean(text))
        else:
            self._people.line(clean(text))

    def warn(self, text: str) -> None:
        """`warning: text` on standard error; above the bar while there is one."""
        if self.is_quiet:
            return
        if self._live is not None:
            self._live.say("warning: " + clean(text))
        else:
            self._err.line(self._painted("warning:", _YELLOW) + " " + clean(text))

    def error(self, error: AgnewsError) -> None:
        """The error and its hint on standard error; with `--json` also as the one object."""
        if self._live is not None:
            self._live.close()
            self._live = None
        self._err.line(self._painted("error:", _RED) + " " + clean(error.message))
        if error.advice:
            self._err.line("hint: " + clean(error.advice))
        if self.is_json and not self._has_result:
            failure = {
                "kind": getattr(error, "kind", type(error).__name__),
                "message": error.message,
                "hint": error.advice,
                "exit_code": error.exit_code,
            }
            with suppress(CannotWrite):  # the first error is the one to report
                self.result({"schema": RESULT_SCHEMA, "state": "failed", "error": failure})

    def _painted(self, word: str, code: str) -> str:
        if self._err_sink != "terminal" or self._env.get("NO_COLOR"):
            return word
        return f"\x1b[{code}m{word}\x1b[0m"

    # ---- results

    def result(self, obj: Mapping[str, Any] | Sequence[Any]) -> None:
        """The one JSON object of a `--json` command; nothing without `--json`.

        Figures that are not finite become null, for JSON has no word for them. Raises CannotWrite
        when standard output takes no more (a full disk), but not when its reader left.
        """
        if not self.is_json:
            return
        if self._has_result:
            raise RuntimeError("a command has one result")
        self._has_result = True
        from json import dumps

        indent = 2 if self._out.isatty() else None
        self._out.line(dumps(_jsonable(obj), indent=indent, allow_nan=False, default=str))
        fault = self._out.fault
        if isinstance(fault, OSError) and fault.errno not in {errno.EPIPE, errno.EIO}:
            raise CannotWrite(path="standard output", reason=fault.strerror or fault)

    def screen(self, *parts: RenderableType, is_result: bool = True) -> None:
        """Renderables and lines of text, one below the other.

        A result is what the command was asked for: shown with `--quiet` too, and left out with
        `--json`, where `result` says it. Anything else (a plan before training) is like `say`.
        """
        if self.is_json if is_result else self.is_quiet:
            return
        if isinstance(self._live, _TerminalProgress):
            # Not captured first: the capture would hold the bar as well.
            for part in parts:
                self._console().print(clean(part) if isinstance(part, str) else part)
        elif self._live is not None:
            self._live.say(self._rendered(parts).rstrip("\n"))
        else:
            self._people.write(self._rendered(parts))
            self._people.flush()

    def table(
        self,
        columns: Sequence[str],
        rows: Iterable[Sequence[object]],
        *,
        title: str | None = None,
        is_result: bool = True,
    ) -> None:
        """A table of plain values; see `screens.table`."""
        if self.is_json if is_result else self.is_quiet:
            return
        self.screen(screens.table(columns, rows, title=title), is_result=is_result)

    def _rendered(self, parts: Sequence[RenderableType]) -> str:
        texts = []
        for part in parts:
            if isinstance(part, str):
                texts.append(clean(part) + "\n")  # never wrapped: a pipe's reader may want the line
                continue
            console = self._console()
            with console.capture() as capture:
                console.print(part)
            lines = capture.get().splitlines()
            texts.append("".join(line.rstrip() + "\n" for line in lines))
        return "".join(texts)

    # ---- progress

    @contextmanager
    def progress(self) -> Generator[Progress]:
        """Shows the events given to `.event(event)`, as the sink can."""
        renderer = self._renderer()
        self._live = renderer
        try:
            yield renderer
        finally:
            self._live = None
            renderer.close()

    def _renderer(self) -> _Renderer:
        if self.is_quiet:
            return _Nothing()
        if self.sink == "terminal":
            return _TerminalProgress(self._console())
        if self.sink == "notebook":
            size = _window(self._people)
            columns = size[0] if size is not None and size[0] > 0 else screens.WIDTH
            return _NotebookProgress(self._people, self._clock, min(columns, screens.WIDTH))
        return _PlainProgress(self._people, self._clock)

    def _console(self) -> Console:
        if self._made is None:
            from rich.console import Console

            is_terminal = self.sink == "terminal"
            # Its environment is ours without what would overrule the sink. Text from data is no
            # markup: `[bold]` in a headline stays as it is.
            kept = {
                name: value
                for name, value in self._env.items()
                if name not in {"COLUMNS", "LINES", "FORCE_COLOR"} and not name.startswith("TTY_")
            }
            has_colour = is_terminal and not self._env.get("NO_COLOR")
            self._made = Console(
                file=cast("IO[str]", self._people),
                force_terminal=is_terminal,
                force_interactive=is_terminal,
                force_jupyter=False,
                color_system="auto" if has_colour else None,
                no_color=not has_colour,
                width=None if is_terminal else screens.WIDTH,
                height=None if is_terminal else 45,
                markup=False,
                highlight=False,
                emoji=False,
                _environ=kept,
            )
        if self.sink == "terminal":
            _fit(self._made)
        return self._made


def _jsonable(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _jsonable(held) for key, held in value.items()}
    if isinstance(value, list | tuple):
        return [_jsonable(held) for held in value]
    if hasattr(value, "model_dump"):
        return _jsonable(value.model_dump(mode="json"))
    return value
