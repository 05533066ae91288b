"""How a plan of sessions looks: a table, a picture with a line for each card, reasons, changes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from agnews_cli.cli import screens
from agnews_cli.cli.output import Output
from agnews_cli.core.text import duration

if TYPE_CHECKING:
    from rich.text import Text

    from agnews_cli.core.plan.schedule import Booking
    from agnews_cli.workflows.planning.plan import Planned
    from agnews_cli.workflows.planning.rehearse import Rehearsal

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_COLOURS = ("cyan", "green", "magenta", "yellow", "blue", "red")
_PICTURE_WIDTH = 64
_MOST_ROWS = 40


def show(out: Output, plan: Planned) -> None:
    """Everything there is to say of it; with `--json` one object."""
    lives = None
    if plan.request.simulate:
        from agnews_cli.workflows.planning.rehearse import rehearse

        lives = rehearse(plan)
    out.result(plan.as_json() | ({"simulation": lives.as_json()} if lives else {}))
    if plan.sessions:
        out.table(("session", "where", "begins", "lasts", "does"), list(_rows(plan)))
        out.screen("", *_picture(plan, is_terminal=out.is_terminal), "")
        out.screen(f"{_summary(plan)}\n")
    out.screen(*(f"  - {reason}" for reason in plan.reasons))
    faster = [_alternative(plan, k) for k in range(len(plan.alternatives))]
    if faster:
        out.screen("", "What if:", *faster)
    if lives is not None:
        _show_lives(out, lives)


def _rows(plan: Planned) -> Iterator[tuple[str, ...]]:
    steps = {job.name: job.steps for job in plan.instance.jobs}
    for number, session in enumerate(plan.sessions[:_MOST_ROWS], 1):
        does = ", ".join(
            part.job
            if part.steps == steps[part.job]
            else f"{part.job} ({part.steps / steps[part.job]:.0%})"
            for part in session.parts
        )
        yield (
            str(number),
            session.resource,
            plan.at(session.begins_s).strftime("%a %d %b %H:%M UTC"),
            duration.show(session.seconds),
            does,
        )
    if len(plan.sessions) > _MOST_ROWS:
        yield ("…", "", "", "", f"{len(plan.sessions) - _MOST_ROWS} more (--json has them all)")


def _summary(plan: Planned) -> str:
    names = list(dict.fromkeys(s.resource for s in plan.sessions))
    counts = [(name, sum(s.resource == name for s in plan.sessions)) for name in names]
    sessions = ", ".join(f"{n} on {name}" for name, n in counts)
    total = len(plan.sessions)
    return (
        f"Finished {plan.finish:%A %d %B %Y, %H:%M} UTC, in {duration.show(plan.plan.finish_s)}: "
        f"{total} session{'' if total == 1 else 's'} ({sessions})."
    )


def _picture(plan: Planned, *, is_terminal: bool) -> Iterator[str | Text]:
    """A line for each card; a letter for each job, dots where the session starts or idles."""
    letters = {job.name: _LETTERS[k % len(_LETTERS)] for k, job in enumerate(plan.instance.jobs)}
    scale = _PICTURE_WIDTH / max(plan.plan.finish_s, 1.0)
    lines: dict[tuple[str, int, int], list[str]] = {}
    for session in plan.sessions:
        for card in sorted({part.card for part in session.parts}):
            key = (session.resource, session.place, card)
            line = lines.setdefault(key, [" "] * _PICTURE_WIDTH)
            _draw(line, session, card, scale, letters)
    many = {(r, p) for r, p, card in lines if card}
    places = {(r, p) for r, p, _ in lines if p}
    width = max(len(_label(key, many, places)) for key in lines)
    for key in sorted(lines):
        label, drawn = f"  {_label(key, many, places):<{width}}  ", "".join(lines[key]).rstrip()
        yield _coloured(label, drawn) if is_terminal else label + drawn
    ends = duration.show(plan.plan.finish_s)
    yield f"  {'':<{width}}  now{ends:>{_PICTURE_WIDTH - 3}}"
    named = [f"{letters[job.name]} {job.name}" for job in plan.instance.jobs[:12]]
    more = len(plan.instance.jobs) - 12
    yield f"  {'':<{width}}  {', '.join(named)}{f', and {more} more' if more > 0 else ''}"


def _coloured(label: str, line: str) -> Text:
    from rich.text import Text

    text = Text(label, no_wrap=True, overflow="crop")
    for letter in line:
        k = _LETTERS.find(letter)
        text.append(letter, style=_COLOURS[k % len(_COLOURS)] if k >= 0 else "dim")
    return text


def _label(
    key: tuple[str, int, int], many: set[tuple[str, int]], places: set[tuple[str, int]]
) -> str:
    resource, place, card = key
    label = screens.one_line(resource, 20)
    if any(r == resource for r, _ in places):
        label += f" #{place + 1}"
    return label + (f" card {card}" if (resource, place) in many else "")


def _draw(
    line: list[str], session: Booking, card: int, scale: float, letters: dict[str, str]
) -> None:
    last = len(line) - 1
    for k in range(int(session.begins_s * scale), min(last, int(session.ends_s * scale)) + 1):
        if line[k] == " ":
            line[k] = "·"
    for part in session.parts:
        if part.card == card:
            begins = min(last, int(part.begins_s * scale))
            for k in range(begins, max(begins + 1, min(last + 1, int(part.ends_s * scale)))):
                line[k] = letters[part.job]


def _alternative(plan: Planned, k: int) -> str:
    other = plan.alternatives[k]
    if other.finish_s is None:
        return f"  - {other.change}: no plan is possible"
    gained_s = plan.plan.finish_s - other.finish_s
    word = "earlier" if gained_s >= 0 else "later"
    return (
        f"  - {other.change}: finished {plan.at(other.finish_s):%a %d %b %H:%M} UTC, "
        f"{duration.show(abs(gained_s))} {word}, {other.sessions} sessions"
    )


def _show_lives(out: Output, lives: Rehearsal) -> None:
    out.screen("", lives.summary)
    out.table(
        ("saving", "goodput", "95% interval", "finish (mean)", "quota used"),
        [
            (
                row.name,
                screens.percent(row.goodput.mean),
                f"{row.goodput.low * 100:.1f} to {row.goodput.high * 100:.1f}",
                duration.show(row.finish_s.mean),
                duration.show(row.held_s.mean),
            )
            for row in lives.rows
        ],
    )
