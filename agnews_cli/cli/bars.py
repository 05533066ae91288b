"""How quotas look: a bar per resource on a terminal, one line each through a pipe."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agnews_cli.cli import screens
from agnews_cli.cli.output import Output
from agnews_cli.core.hours import quota
from agnews_cli.core.text import duration

if TYPE_CHECKING:
    from rich.console import RenderableType

    from agnews_cli.workflows.hours.quota import Demand, Row, View

_WIDTH = 28
_LITTLE = 0.2
"""Of what is allowed."""


def show(out: Output, view: View) -> None:
    """All rows, then the reasons why somebody did not tell."""
    if out.is_json:
        return
    if out.sink == "terminal":
        out.screen(_grid(view), *_notes(view))
    else:
        out.screen(*(_line(row) for row in view.rows), *_notes(view))


def judged(out: Output, asked: Demand) -> None:
    """Whether so many hours fit, the answer last where it stays in view."""
    if out.is_json:
        return
    tints: dict[bool | None, screens.Meaning] = {True: "good", False: "bad", None: "warn"}
    out.screen("", *asked.lines())
    words = {True: "It fits.", False: "It does not fit now.", None: "It is not known if it fits."}
    out.screen(screens.tinted(words[asked.fits], tints[asked.fits]))


def as_json(view: View, asked: Demand | None) -> dict[str, Any]:
    """Schema `agnews.quota/1` (docs/json.md)."""
    if asked is None:
        return view.as_json() | {"plan": [], "fits": None}
    return view.as_json() | {"plan": asked.as_json(), "fits": asked.fits}


def _line(row: Row) -> str:
    found = row.budget
    return f"{found.platform} {found.resource}: {'; '.join(_facts(row))}"


def _facts(row: Row) -> list[str]:
    found = row.budget
    facts = [_left(found)]
    facts.append(f"{quota.hours(found.used_s)} used")
    if found.running:
        facts.append(f"{found.running} running now")
    if found.reserved_s:
        facts.append(f"{quota.hours(found.reserved_s)} held for running sessions")
    if found.reserve_s:
        facts.append(f"{quota.hours(found.reserve_s)} kept back by you")
    if found.age_s is not None:
        facts.append(_session(found))
    elif found.cap_s is not None:
        facts.append(f"up to {quota.hours(found.cap_s)} a session")
    if row.sessions and found.platform != "local":
        facts.append(_lives(row))
    facts.append(f"{found.how} ({found.source})")
    return facts


def _left(found: quota.Budget) -> str:
    if found.left_s is None:
        return "what is left is not known"
    of = f" of {quota.hours(found.allowed_s)}" if found.allowed_s is not None else ""
    until = f" until {quota.moment(found.returns_at)}" if found.returns_at else ""
    return f"{quota.hours(found.left_s)}{of} left{until}"


def _session(found: quota.Budget) -> str:
    assert found.age_s is not None
    ends = f", ends by {quota.moment(found.deadline_at)}" if found.deadline_at else ""
    return f"this session is {duration.show(found.age_s)} old{ends}"


def _lives(row: Row) -> str:
    known = f"{row.sessions} session{'' if row.sessions == 1 else 's'} seen, {row.deaths} died"
    return f"{known}: one in {quota.hours(row.lifetime_s or 0.0)} expected"


def _notes(view: View) -> list[str]:
    told = [note for row in view.rows for note in row.budget.notes]
    budgets = (row.budget for row in view.rows)
    silent = next((b for b in budgets if b.left_s is None and b.resource != "cpu"), None)
    if silent is not None:
        say = f"agnews quota set {silent.platform} {silent.resource} 11.2h"
        told.append(f"{silent.title} tells no program what is left; say what you read: {say}")
    return [f"  - {note}" for note in dict.fromkeys((*told, *view.notes))]


def _grid(view: View) -> RenderableType:
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 2))
    for _ in range(2):
        grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for row in view.rows:
        found, style = row.budget, _style(row.budget)
        name = Text(f"{found.title} {found.resource.upper()}", style="bold")
        bar: RenderableType = Text("")
        if found.left_s is not None and found.allowed_s:
            bar = ProgressBar(
                total=found.allowed_s,
                completed=found.left_s,
                width=_WIDTH,
                complete_style=style,
                finished_style=style,
            )
        first, *rest = _facts(row)
        grid.add_row(name, bar, Text(screens.clean(first), style=style))
        grid.add_row("", "", Text(screens.clean("; ".join(rest)), style="dim"))
    return grid


def _style(found: quota.Budget) -> str:
    """By what is left of what is allowed; the figures beside it say the same."""
    if found.left_s is None:
        return ""
    share = found.left_s / found.allowed_s if found.allowed_s else float(found.left_s > 0)
    return "bold red" if share <= 0 else "yellow" if share < _LITTLE else "green"
