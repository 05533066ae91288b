"""A report as a page: HTML that needs nothing else, or Markdown; both from templates.

What came with the data, a run or a model is a text there: templates escape everything, and the
pictures are the only markup that is taken as it is.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from agnews_cli.core.run.diversity import MEASURES
from agnews_cli.core.run.evaluation import Interval
from agnews_cli.core.text import duration
from agnews_cli.store.disk.space import size

if TYPE_CHECKING:
    from jinja2 import Environment

    from agnews_cli.core.run.looked_at import LookedAt
    from agnews_cli.workflows.report.report import RunsReported

Form = Literal["html", "md", "json"]
_TEMPLATES = Path(__file__).parent / "templates"
_CERTAIN = 0.05
_MOST_POINTS = 40
_MOST_PAIRS = 60


def html_page(found: RunsReported) -> str:
    """One file, which asks for no other."""
    from markupsafe import Markup

    made = _environment()
    body = made.get_template("body.html.j2").render(_facts(found))
    headings = [
        {"id": Markup(id_), "text": Markup(text)}  # escaped there
        for id_, text in re.findall(r'<h[23] id="([^"<>]+)">([^<>]+)</h', body)
    ]
    page = made.get_template("report.html.j2")
    return page.render(_facts(found), body=Markup(body), headings=headings)


def markdown_page(found: RunsReported) -> str:
    """The same in tables, without pictures."""
    text = _environment().get_template("report.md.j2").render(_facts(found))
    text = re.sub(r"\n(#+ )", r"\n\n\1", text)  # what comes from outside begins no line so
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def _facts(found: RunsReported) -> dict[str, Any]:
    return {"report": found, "runs": found.runs, "is_one": len(found.runs) == 1}


def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    made = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    made.globals |= {"measures": MEASURES}
    made.globals |= {
        "row": lambda cells: Markup(_row(cells)),
        "head": lambda names: Markup(f"{_row(names)}\n|{' --- |' * len(names)}"),
    }
    filters: Mapping[str, Callable[..., object]] = {
        "percent": percent,
        "between": between,
        "md": lambda text: Markup(as_markdown(text)),
        "drawn": Markup,  # pictures alone, of which every name was escaped where they were drawn
        "size": lambda n: "–" if n is None else size(n),
        "took": lambda s: "–" if s is None else duration.show(s),
        "p": lambda v: f"{v:.3f}" if v >= 0.001 else "<0.001",
        "is_apart": lambda one: one.p_holm < _CERTAIN,
        "figure": lambda v, digits=3: "–" if v is None else f"{v:.{digits}f}",
        "points": lambda points: _some(points),
        "pairs": lambda split: most_confused(split),
        "moment": lambda text: text[:16].replace("T", " "),
        "one_line": one_line,
        "strongest": strongest,
        "counted": lambda n, what: f"{n:,} {what}{'s' if n != 1 else ''}",
    }
    made.filters |= filters
    return made


def percent(share: float | None, digits: int = 1) -> str:
    return "–" if share is None else f"{100 * share:.{digits}f}%"


def between(figure: Interval, digits: int = 1) -> str:
    return f"{100 * figure.low:.{digits}f} to {100 * figure.high:.{digits}f}"


def one_line(text: str, most: int = 400) -> str:
    """Without characters that a page would obey or that nobody sees."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= most else line[: most - 1] + "…"


def as_markdown(text: object) -> str:
    """One line, of which Markdown and HTML obey nothing."""
    escaped = html.escape(one_line(str(text)), quote=False)
    return re.sub(r"([\\`*_{}\[\]()#+!|~$])", r"\\\1", escaped)


def _row(cells: Iterable[object]) -> str:
    """Of a table of Markdown."""
    return f"| {' | '.join(map(as_markdown, cells))} |"


def _some(points: Any) -> Any:
    """At most so many, evenly."""
    from agnews_cli.core.report.curves import thinned

    return thinned(points, _MOST_POINTS)


def strongest(found: LookedAt, most: int = 5) -> str:
    """The words that speak most for the answer; the same as a text."""
    pieces = sorted(found.pieces, key=lambda piece: -piece.weight)
    return ", ".join(piece.text for piece in pieces[:most] if piece.weight > 0) or "none"


def most_confused(split: Any) -> list[tuple[str, str, int]]:
    """(true class, answer, rows) of what is mistaken most often."""
    labels = [one.label for one in split.classes]
    cells = [
        (labels[row], labels[column], count)
        for row, counts in enumerate(split.confusion)
        for column, count in enumerate(counts)
        if row != column and count
    ]
    return sorted(cells, key=lambda cell: -cell[2])[:_MOST_PAIRS]
