"""The static screens: facts in, rich renderables out. Nothing here prints.

Every screen fits 100 columns, reads the same without colour, and is built from text that was
cleaned: a data set may hold escape codes, and a terminal obeys them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from agnews_cli.core.text import duration

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
    from rich.table import Table
    from rich.text import Text

    from agnews_cli.core.run.evaluation import Evaluation, Interval, SplitEvaluation
    from agnews_cli.core.run.job import Candidate

Meaning = Literal["good", "warn", "bad"]
Section = Literal["figures", "classes", "confusion", "mistakes"]

SECTIONS: tuple[Section, ...] = ("figures", "classes", "confusion", "mistakes")
WIDTH = 100
"""Columns of a screen; what a pipe and a notebook get."""
WIDEST = 120
"""Columns of a wide terminal that are used."""

_MATRIX_CLASSES = 12
_CLASS_ROWS = 14
_CONFUSIONS = 10
_MISTAKES = 3
_CORNER = "true \\ predicted"
_CHOSE = "these rows also chose the model: optimistic"
_OFF = "between a probability and the truth"
_MANY_ROWS = 1000
"""From so many rows on a percentage says enough without its count."""
_COMMAND = r"(?<=: )(?:agnews|pip|cp|find|ls|ln|mkdir|ssh-keygen|hf|kaggle|unset) "
_UNBROKEN = "\x00"
"""Stands for a space at which no line is broken."""
_NAME = 40
"""A first column that is no wider holds names, which are copied in one piece."""
_BETWEEN = 3
"""Columns between those of a table."""
_GAP = 2
"""Columns between those of the matrix."""

# Whole escape sequences first, so that no "[31m" stays behind; then what is left of C0 and C1,
# and the bidirectional overrides that make a line read as another one.
_SEQUENCES = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?")
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def clean(text: str) -> str:
    """`text` without anything a terminal would obey; line feeds stay, tabs become spaces."""
    return _CONTROLS.sub("", _SEQUENCES.sub("", text).expandtabs(4))


def one_line(text: str, width: int | None = None) -> str:
    """`text` cleaned, on one line, cut to `width` characters with an ellipsis."""
    line = " ".join(clean(re.sub(r"[\r\n\x0b\x0c\x85\u2028\u2029]", " ", text)).split())
    if width is not None and len(line) > width:
        return line[: max(0, width - 1)].rstrip() + "…"
    return line


def percent(share: float) -> str:
    """A share of one as a percentage with two decimals."""
    return f"{share * 100:.2f}%"


def counts(names: Sequence[str], rows: Sequence[int], most: int = 12) -> str:
    """`World 2,500, Sports 2,498, …`: each with its rows."""
    shown = [f"{one_line(name, 40)} {n:,}" for name, n in zip(names, rows, strict=True)][:most]
    return ", ".join(shown) + (f", … ({len(names):,} in all)" if len(names) > most else "")


def paragraph(text: str, width: int) -> str:
    """`text` in lines of `width`, broken between words; commands stay whole, to be pasted."""
    return "\n".join(
        line if len(line) <= width else _paragraph(line, width) for line in text.split("\n")
    )


def _paragraph(line: str, width: int) -> str:
    from textwrap import fill

    indent = " " * (len(line) - len(line.lstrip(" -")))
    is_error = line.startswith("error: ")  # which begins with a command's name, and is prose
    begins = len("error: a") if is_error else 0
    command = re.compile(_COMMAND).search(line, begins)
    at = len(line) if command is None else command.start()
    whole = line[:at] + line[at:].replace(" ", _UNBROKEN)
    lines = fill(
        whole, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )
    return lines.replace(_UNBROKEN, " ")


class Verbatim(str):
    """A line to copy and paste: no screen breaks it, however narrow."""

    __slots__ = ()


# ---- building blocks ----------------------------------------------------------------------------


def key_values(pairs: Iterable[tuple[str, object]]) -> Table:
    """Two columns, a name and its value; for plans and figures."""
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in pairs:
        grid.add_row(Text(one_line(name), style="bold"), Text(clean(str(value))))
    return grid


def table(
    columns: Sequence[str], rows: Iterable[Sequence[object]], *, title: str | None = None
) -> Table:
    """A table of any values; columns that hold only numbers (or None) stand on the right."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    held = [tuple(row) for row in rows]
    built = Table(
        box=box.SIMPLE,
        show_edge=False,
        pad_edge=False,
        title=None if title is None else Text(one_line(title), style="bold"),
        title_justify="left",
        header_style="bold",
    )
    for place, name in enumerate(columns):
        cells = [row[place] for row in held]
        is_right = bool(cells) and all(map(_is_figure_or_none, cells))
        built.add_column(
            Text(one_line(name)),
            justify="right" if is_right else "left",
            overflow="fold",
            no_wrap=place == 0 and max((len(str(c)) for c in cells), default=0) <= _NAME,
        )
    for row in held:
        built.add_row(*map(_cell, row))
    return built


def plain_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str | None:
    """The lines of `table` where there are no colours, without the time that rich takes to load.

    None where rich is needed: for a cell that is neither text nor number, or has several lines, and
    for a table that is wider than a screen.
    """
    held = [tuple(row) for row in rows]
    if not all(cell is None or isinstance(cell, str | int | float) for row in held for cell in row):
        return None
    lines = [[one_line(name) for name in columns], *(list(map(_plain_cell, row)) for row in held)]
    if any("\n" in cell for line in lines for cell in line):
        return None
    widths = [max(map(_width, cells)) for cells in zip(*lines, strict=True)]
    whole = sum(widths) + _BETWEEN * (len(widths) - 1)
    if whole > WIDTH:
        return None
    drawn = []
    for place, width in enumerate(widths):
        is_right = bool(held) and all(_is_figure_or_none(row[place]) for row in held)
        room = [" " * (width - _width(line[place])) for line in lines]
        cells = [line[place] for line in lines]
        drawn.append([r + c if is_right else c + r for c, r in zip(cells, room, strict=True)])
    header, *body = ((" " * _BETWEEN).join(line).rstrip() for line in zip(*drawn, strict=True))
    return "\n".join([header, "─" * whole, *body])


def _width(text: str) -> int:
    """Columns of a terminal; some characters take two."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def moment(iso: str | None) -> str:
    """A time of ISO 8601 to the minute, in UTC; what is no time as it stands."""
    if not iso:
        return ""
    try:
        return datetime.fromisoformat(iso).astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")
    except ValueError:
        return iso


def tinted(text: str, level: Meaning) -> Text:
    """`text` in the colour of what it means, where there are colours; the words say it alone."""
    from rich.text import Text

    return Text(clean(text), style={"good": "green", "warn": "yellow", "bad": "bold red"}[level])


def _cell(value: object) -> Text:
    from rich.text import Text

    if isinstance(value, Text):
        return value
    return Text(_plain_cell(value))


def _plain_cell(value: object) -> str:
    return "–" if value is None else clean(str(value))


def _is_figure_or_none(cell: object) -> bool:
    if isinstance(cell, bool):
        return False
    if cell is None or isinstance(cell, int | float):
        return True
    return isinstance(cell, str) and re.fullmatch(r"[-+]?[\d,]*\.?\d+%?|–", cell) is not None


def _heading(text: str) -> Text:
    from rich.text import Text

    return Text(text, style="bold")


def _cut(text: str, *, before: str = "") -> Text:
    """One line that the console cuts at its own width, when that is less than a screen's."""
    from rich.text import Text

    line = before + one_line(text, WIDTH - len(before))
    return Text(line, no_wrap=True, overflow="ellipsis")


# ---- screens ------------------------------------------------------------------------------------


def candidates_table(candidates: Sequence[Candidate], *, rows: int | None = None) -> Table:
    """What was trained, how it validated (on `rows`), and its share in what was delivered."""
    return table(
        ("model", "validation accuracy", "loss", "time", "share"),
        [
            (
                one_line(candidate.name, 40),
                _counted(candidate.validation_accuracy, rows),
                f"{max(0.0, candidate.validation_loss):.4f}",
                duration.show(candidate.seconds) if candidate.seconds else None,
                f"{candidate.weight * 100:.0f}%" if candidate.weight else None,
            )
            for candidate in candidates
        ],
    )


def evaluation_screen(
    evaluation: Evaluation, *, sections: Sequence[Section] = SECTIONS
) -> tuple[RenderableType, ...]:
    """One screen, at most 45 lines: the test split, or the validation split without one."""
    split = evaluation.test or evaluation.validation
    labels = tuple(one_line(label) for label in evaluation.labels)
    parts: list[RenderableType] = []
    for section in sections:
        lines: list[RenderableType] = []
        if section == "figures":
            lines = _figures(evaluation, split)
        elif section == "classes":
            lines = _classes(split)
        elif section == "confusion":
            lines = [_Confusion(split, labels)]
        elif split.mistakes:
            lines = _mistakes(split)
        if parts and lines:
            parts.append("")
        parts += lines
    return tuple(parts)


def remarks(heading: str, lines: Sequence[str]) -> tuple[RenderableType, ...]:
    """A heading, a line for each, and a blank one; nothing where there are none."""
    if not lines:
        return ()
    return (_heading(heading), *(f"  - {one_line(line)}" for line in lines), "")


def _counted(share: float, rows: int | None) -> str:
    """A percentage, of few rows with the count that it comes from."""
    if rows is None or rows >= _MANY_ROWS:
        return percent(share)
    return f"{percent(share)} ({round(share * rows)} of {rows})"


def _interval(figure: Interval) -> str:
    return f"(95% interval {figure.low * 100:.2f} to {figure.high * 100:.2f})"


def _figures(evaluation: Evaluation, split: SplitEvaluation) -> list[RenderableType]:
    macro = f"{percent(split.macro_f1.value)}  {_interval(split.macro_f1)}"
    if split.absent:
        macro += f", over the {len(split.classes) - split.absent} classes that have rows here"
    loss = f"(loss {max(0.0, split.loss):.4f})"
    accuracy = f"{_counted(split.accuracy.value, split.rows)}  {_interval(split.accuracy)}"
    pairs = [("accuracy", accuracy)]
    if evaluation.look is not None and evaluation.best_of is not None:
        best = f"{percent(split.accuracy.value)}  {_interval(evaluation.best_of)}, by Šidák"
        pairs.append((f"as the best of {evaluation.look.looks:,}", best))
    pairs += [
        ("macro-F1", macro),
        ("calibration error", f"{percent(split.calibration_error)} {_OFF}  {loss}"),
    ]
    if split.rows_in_training:
        pairs.append(("seen in training", _seen(split)))
    if evaluation.test is not None:
        chosen = evaluation.validation
        share = _counted(chosen.accuracy.value, chosen.rows)
        of = "" if chosen.rows < _MANY_ROWS else f" of {chosen.rows:,} rows"
        pairs.append(("on validation", f"{share}{of}" + (f"; {_CHOSE}" if chosen.chose else "")))
    return [_heading(_title(evaluation, split)), key_values(pairs)]


def _title(evaluation: Evaluation, split: SplitEvaluation) -> str:
    if evaluation.test is not None:
        fresh = "" if split.rows_in_training else "; none is a training row"
        of = split.held_out_of
        yours = f" held out of yours ({split.rows / of:.0%})" if of else ""
        from agnews_cli.core.run import looks  # most screens show none

        look = evaluation.look
        asked = "asked once" if look is None or look.looks == 1 else looks.words(look)
        return f"Test: {split.rows:,} rows{yours}, {asked}{fresh}"
    chose = f"; {_CHOSE}" if split.chose else ""
    return f"Validation, as no test rows were asked: {split.rows:,} rows{chose}"


def _seen(split: SplitEvaluation) -> str:
    said = f"{split.rows_in_training:,} of {split.rows:,} test rows are also training rows"
    without = split.accuracy_without_them
    return said if without is None else f"{said}; accuracy without them {percent(without)}"


def _classes(split: SplitEvaluation) -> list[RenderableType]:
    shown = list(split.classes)
    lines: list[RenderableType] = []
    if len(shown) > _CLASS_ROWS:
        # One line of the screen goes to saying so.
        shown.sort(key=lambda figures: (not figures.rows, figures.f1))
        shown = shown[: _CLASS_ROWS - 1]
        lines.append(_heading(f"The {len(shown)} weakest of {len(split.classes)} classes, by F1"))
    rows = [
        (
            one_line(figures.label, 32),
            *(
                percent(share) if figures.rows else None
                for share in (figures.precision, figures.recall, figures.f1)
            ),
            f"{figures.rows:,}",
        )
        for figures in shown
    ]
    return [*lines, table(("class", "precision", "recall", "F1", "rows"), rows)]


class _Confusion:
    """The matrix in the first form that fits where it is rendered, or else its biggest entries."""

    def __init__(self, split: SplitEvaluation, labels: tuple[str, ...]) -> None:
        self._counts = split.confusion
        self._labels = labels

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if len(self._labels) <= _MATRIX_CLASSES:
            for names, heads in self._forms():
                if self._width(names, heads) <= min(options.max_width, WIDTH):
                    yield self._matrix(names, heads)
                    return
        yield from _biggest_confusions(self._counts, self._labels)

    def _forms(self) -> Iterator[tuple[tuple[str, ...], tuple[str, ...]]]:
        """Names of rows and columns: whole, shortened while they differ, numbered."""
        for width in (16, 10, 7):
            heads = tuple(one_line(label, width) for label in self._labels)
            if len(set(heads)) == len(set(self._labels)):
                yield tuple(one_line(label, 24) for label in self._labels), heads
        numbers = tuple(str(place + 1) for place in range(len(self._labels)))
        names = zip(numbers, self._labels, strict=True)
        yield tuple(one_line(f"{number} {label}", 16) for number, label in names), numbers

    def _width(self, names: tuple[str, ...], heads: tuple[str, ...]) -> int:
        from rich.cells import cell_len

        columns = zip(heads, zip(*self._counts, strict=True), strict=True)
        figures = sum(
            max(cell_len(head), *(len(str(count)) for count in counts)) + _GAP
            for head, counts in columns
        )
        return max(len(_CORNER), *map(cell_len, names)) + figures

    def _matrix(self, names: tuple[str, ...], heads: tuple[str, ...]) -> Table:
        rows = [(name, *counts) for name, counts in zip(names, self._counts, strict=True)]
        built = table((_CORNER, *heads), rows)
        built.padding = (0, _GAP - 1, 0, 0)  # and one column for the divider
        return built


def _biggest_confusions(
    confusion: Sequence[Sequence[int]], labels: tuple[str, ...]
) -> list[RenderableType]:
    pairs = sorted(
        (
            (count, true, predicted)
            for true, counts in enumerate(confusion)
            for predicted, count in enumerate(counts)
            if count and true != predicted
        ),
        key=lambda pair: (-pair[0], pair[1], pair[2]),
    )[:_CONFUSIONS]
    if not pairs:
        return [_heading("No confusions")]
    wide = len(f"{pairs[0][0]:,}")
    return [
        _heading("Biggest confusions (true → predicted)"),
        *(
            _cut(
                f"{one_line(labels[true], 40)} → {one_line(labels[predicted], 40)}",
                before=f"{count:,}".rjust(wide) + "  ",
            )
            for count, true, predicted in pairs
        ),
    ]


def _mistakes(split: SplitEvaluation) -> list[RenderableType]:
    return [
        _heading("Got wrong (true → predicted, its probability)"),
        *(
            _cut(
                f"{one_line(mistake.label, 20)} → {one_line(mistake.predicted, 20)} "
                f"{mistake.probability * 100:.0f}%: {mistake.text}"
            )
            for mistake in split.mistakes[:_MISTAKES]
        ),
    ]
