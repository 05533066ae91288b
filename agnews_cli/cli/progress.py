"""How training is shown while it goes on: one renderer for each kind of sink."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from agnews_cli.cli.picture import PASSING, Picture, finished_line, stamped
from agnews_cli.cli.printer import is_gone
from agnews_cli.cli.sink import Stream, fit

if TYPE_CHECKING:
    from rich.console import Console
    from rich.live import Live
    from rich.progress import Progress as Bar
    from rich.progress import TaskID

    from agnews_cli.core.run.job import Event

_NOTEBOOK_EVERY_S = 1.0
_NOTEBOOK_SLOWEST_S = 10.0
_NOTEBOOK_BRISK_S = 300.0
_PLAIN_EVERY_S = 30.0


class Progress(Protocol):
    """Shows the events of a training run as they come."""

    def event(self, event: Event) -> None: ...

    def say(self, text: str) -> None: ...


class Renderer(Progress, Protocol):
    def close(self) -> None: ...


class Nothing:
    def event(self, event: Event) -> None:
        pass

    def say(self, text: str) -> None:
        pass

    def close(self) -> None:
        pass


class PlainProgress:
    def __init__(self, stream: Stream, clock: Callable[[], float]) -> None:
        self._stream = stream
        self._clock = clock
        self._picture = Picture()
        self._shown_s = -math.inf

    def event(self, event: Event) -> None:
        self._picture = self._picture.after(event)
        if event.kind in PASSING:
            now_s = self._clock()
            if now_s - self._shown_s >= _PLAIN_EVERY_S:
                self._shown_s = now_s
                self._stream.line(stamped(event.elapsed_s, self._picture.line))
            return
        line = self._picture.title if event.kind == "phase" else finished_line(event)
        self._stream.line(stamped(event.elapsed_s, line or ""))

    def say(self, text: str) -> None:
        self._stream.line(text)

    def close(self) -> None:
        pass


class NotebookProgress:
    """Phases stay as lines of their own: one may last minutes without another event.

    What was renewed stays in the notebook's file. So the line is renewed every second for five
    minutes and less and less often after, down to every ten seconds: 0.1 MB in an hour, half a
    megabyte in twelve.
    """

    def __init__(self, stream: Stream, clock: Callable[[], float], columns: int) -> None:
        self._stream = stream
        self._clock = clock
        self._width = columns - 1  # a full line would wrap, and could not be renewed
        self._picture = Picture()
        self._began_s = clock()
        self._renewed_s = -math.inf
        self._length = 0
        """Characters of the renewed line that is on screen; 0 when there is none."""

    def event(self, event: Event) -> None:
        self._picture = self._picture.after(event)
        if event.kind in PASSING:
            now_s = self._clock()
            age = (now_s - self._began_s) / _NOTEBOOK_BRISK_S
            every_s = min(max(_NOTEBOOK_EVERY_S, age), _NOTEBOOK_SLOWEST_S)
            if now_s - self._renewed_s >= every_s:
                self._renewed_s = now_s
                self._renew(stamped(event.elapsed_s, self._picture.line))
            return
        line = self._picture.title if event.kind == "phase" else finished_line(event)
        self.say(stamped(event.elapsed_s, line or ""))

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


class TerminalProgress:
    def __init__(self, console: Console) -> None:
        from rich.live import Live
        from rich.progress import BarColumn, SpinnerColumn, TextColumn
        from rich.progress import Progress as Bar

        self._console = console
        self._picture = Picture()
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

        fit(self._console)
        self._picture = picture = self._picture.after(event)
        line = finished_line(event)
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

        self._console.print(Text(text, style=style))

    def close(self) -> None:
        self._live.stop()


class Watched:
    """A renderer that says when its reader left: the notebook closed, or the pipe broke."""

    def __init__(self, renderer: Renderer, stream: Stream) -> None:
        self._renderer, self._stream = renderer, stream

    def event(self, event: Event) -> None:
        """Raises ReaderLeft, or ReaderStalled while nobody reads what is printed beside."""
        self._renderer.event(event)
        if is_gone(self._stream.fault):
            from agnews_cli.core.run.job import ReaderLeft

            raise ReaderLeft
        if self._stream.is_stalled:
            from agnews_cli.core.run.job import ReaderStalled

            raise ReaderStalled

    def say(self, text: str) -> None:
        self._renderer.say(text)
