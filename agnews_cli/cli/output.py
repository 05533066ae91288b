"""The only place that prints: one result, three renderings (rich, plain, `--json`).

Where the lines go is found out once, from the stream people read (standard output, or standard
error under `--json`):

- *terminal*: a live bar with finished lines above it;
- *notebook*: one line renewed with a carriage return, once a second at most, later less often.
  Output areas do not honour cursor movements, and a live bar writes 15 MB an hour into the
  notebook;
- *plain*: a line every half minute and no escape code ever, whatever FORCE_COLOR says (ipykernel 7
  sets it for children).

Writing never raises. When the reader of a training's progress leaves (a broken pipe, a closed
notebook), whoever shows events is told, and stops in good order. One that only does not read holds
nothing up (`printer`).
"""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING, Any, TextIO, cast

from agnews_cli.cli import printer, screens, stopping
from agnews_cli.cli.screens import clean
from agnews_cli.cli.sink import Sink, Stream, classify_sink, fit, mend_window, window_of
from agnews_cli.errors import AgnewsError, CannotWrite

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from agnews_cli.cli.progress import Progress, Renderer

RESULT_SCHEMA = "agnews.result/1"

_RED, _YELLOW = "31;1", "33"


showing: Output | None = None
"""Who shows progress now."""


class Output:
    """All that a command shows. Build one a command; `error` is for the error boundary.

    Without `--json`: `say`, `screen`, `table` and progress go to standard output, `warn` and
    `error` to standard error. With it: `result` alone goes to standard output, what people read
    goes to standard error. With `data` standard output carries rows (`write`), what people read
    goes to standard error likewise. With `--quiet`: only results and errors.
    """

    def __init__(
        self,
        *,
        json: bool = False,
        quiet: bool = False,
        data: bool = False,
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
        self._out = Stream(standard)
        self._err = Stream(errors)
        is_apart = json or data
        self._people = self._err if is_apart else self._out
        size = window_of(self._people)
        self.sink: Sink = classify_sink(errors if is_apart else standard, self._env, size=size)
        self._err_sink: Sink = classify_sink(errors, self._env, size=window_of(self._err))
        for each in (self._out, self._err):
            if each.isatty() and min(window_of(each) or (1, 1)) <= 0:
                mend_window(each)
        self._live: Renderer | None = None
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
            self._people.line(self._wrapped(clean(text)))

    def warn(self, text: str) -> None:
        """`warning: text` on standard error; above the bar while there is one."""
        if self.is_quiet:
            return
        if self._live is not None:
            self._live.say("warning: " + clean(text))
        else:
            self._trouble("warning:", _YELLOW, text)

    def error(self, error: AgnewsError) -> None:
        """The error and its hint on standard error; with `--json` also as the one object."""
        if self._live is not None:
            self._live.close()
            self._live = None
        color = _RED if error.word == "error" else _YELLOW
        self._trouble(f"{error.word}:", color, error.message)
        if error.advice:
            self._trouble("hint:", "", error.advice)
        if self.is_json and not self._has_result:
            failure = {
                "kind": getattr(error, "kind", type(error).__name__),
                "message": error.message,
                "hint": error.advice,
                "exit_code": error.exit_code,
            }
            if "saved" in error.facts:
                failure["saved"] = error.facts["saved"]
            with suppress(CannotWrite):  # the first error is the one to report
                self.result({"schema": RESULT_SCHEMA, "state": "failed", "error": failure})

    def _trouble(self, word: str, code: str, text: str) -> None:
        """`word text` on standard error, on a terminal broken at words, and `word` in colour."""
        lines = f"{word} {clean(text)}"
        if self._err_sink == "terminal":
            columns, _ = window_of(self._err) or (screens.WIDTH, 0)
            lines = screens.paragraph(lines, columns)
            if code and not self._env.get("NO_COLOR"):
                lines = lines.replace(word, f"\x1b[{code}m{word}\x1b[0m", 1)
        self._err.line(lines)

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
        self._out.settle()
        fault = self._out.fault
        if isinstance(fault, OSError) and not printer.is_gone(fault):
            hint = "Make room there; all the rest is done."
            raise CannotWrite(path="standard output", reason=fault.strerror or fault, hint=hint)

    def write(self, text: str) -> int:
        """Text on standard output as it is, such as rows of CSV; cleaned where a terminal reads it.

        Raises ReaderLeft where its reader left, and CannotWrite where it takes no more.
        """
        written = self._out.write(clean(text) if self._out.isatty() else text)
        fault = self._out.fault
        if isinstance(fault, OSError) and not printer.is_gone(fault):
            hint = "Make room there, or write to another place: --out FILE"
            raise CannotWrite(path="standard output", reason=fault.strerror or fault, hint=hint)
        if self._out.is_broken:
            from agnews_cli.core.run.job import ReaderLeft

            raise ReaderLeft
        return written

    def flush(self) -> None:
        """Send what `write` has been given. Raises like it."""
        self._out.flush()
        self.write("")

    @property
    def shows_data(self) -> bool:
        """Whether standard output is a screen."""
        return self._out.isatty()

    def screen(self, *parts: RenderableType, is_result: bool = True) -> None:
        """Renderables and lines of text, one below the other.

        A result is what the command was asked for: shown with `--quiet` too, and left out with
        `--json`, where `result` says it. Anything else (a plan before training) is like `say`.
        """
        if self.is_json if is_result else self.is_quiet:
            return
        if self._live is None:
            self._people.write(self._rendered(parts))
            self._people.flush()
        elif self.is_terminal:
            # Not captured first: the capture would hold the bar as well.
            for part in parts:
                self._console().print(clean(part) if isinstance(part, str) else part)
        else:
            self._live.say(self._rendered(parts).rstrip("\n"))

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
        held = [tuple(row) for row in rows]
        plain = None if self.is_terminal or title else screens.plain_table(columns, held)
        built = screens.table(columns, held, title=title) if plain is None else plain
        self.screen(built, is_result=is_result)

    @property
    def is_terminal(self) -> bool:
        """Whether what people read has colours and a width of its own."""
        return self.sink == "terminal"

    def _rendered(self, parts: Sequence[RenderableType]) -> str:
        texts = []
        for part in parts:
            if isinstance(part, str):
                whole = clean(part)
                is_whole = isinstance(part, screens.Verbatim)
                texts.append((whole if is_whole else self._wrapped(whole)) + "\n")
                continue
            console = self._console()
            with console.capture() as capture:
                console.print(part)
            lines = capture.get().splitlines()
            texts.append("".join(line.rstrip() + "\n" for line in lines))
        return "".join(texts)

    def _wrapped(self, text: str) -> str:
        """Lines broken at words on a terminal; left whole elsewhere, for programs read lines."""
        if self.sink != "terminal":
            return text
        return screens.paragraph(text, self._console().width)

    # ---- progress

    @contextmanager
    def progress(self, *, beside: bool = False) -> Generator[Progress]:
        """Shows the events given to `.event(event)`, as the sink can.

        `beside`: from now on nothing that is printed is waited for, however slow its reader, since
        there is something to keep meanwhile (`printer`).
        """
        if beside:
            printer.begin()
            stopping.answer()
        from agnews_cli.cli.progress import Watched

        global showing
        renderer = self._renderer()
        self._live, showing = renderer, self
        try:
            yield Watched(renderer, self._people)
        finally:
            self._live = showing = None
            renderer.close()

    def _renderer(self) -> Renderer:
        from agnews_cli.cli.progress import (
            NotebookProgress,
            Nothing,
            PlainProgress,
            TerminalProgress,
        )

        if self.is_quiet:
            return Nothing()
        if self.sink == "terminal":
            return TerminalProgress(self._console())
        if self.sink == "notebook":
            size = window_of(self._people)
            columns = size[0] if size is not None and size[0] > 0 else screens.WIDTH
            return NotebookProgress(self._people, self._clock, min(columns, screens.WIDTH))
        return PlainProgress(self._people, self._clock)

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
            fit(self._made)
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
