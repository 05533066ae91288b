"""How a leaderboard looks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from agnews_cli.cli import screens
from agnews_cli.cli.comparison import between, looks, p_value, speed
from agnews_cli.core.text import duration

if TYPE_CHECKING:
    from rich.console import RenderableType

    from agnews_cli.workflows.runs.leaderboard import Board, Leaderboard, LeaderLine

_HEADS = ("run", "accuracy", "95%", "p", "size", "one text", "trained", "look")
_P = (
    "p: McNemar's test against the best, corrected for how many are compared (Holm); 0.05 and more "
    "may be chance"
)


def screen(found: Leaderboard) -> tuple[RenderableType, ...]:
    """A table for each set of test rows."""
    if not found.boards:
        return (
            f"No finished run in {found.store} was asked about test rows. Next: agnews auto, or "
            "name another folder: --store",
        )
    return tuple(part for board in found.boards for part in _parts(board))


def _parts(board: Board) -> Iterator[RenderableType]:
    title = f"On the same {board.rows:,} test rows"
    yield screens.table(_HEADS, [_row(line) for line in board.lines], title=title)
    if len(board.lines) > 1:
        yield f"Not tested against each other: {board.problem}" if board.problem else _P
    yield looks(board.looks, board.best_of)
    yield ""


def _row(line: LeaderLine) -> tuple[object, ...]:
    from agnews_cli.store.disk.space import size

    return (
        screens.one_line(line.run, 40),
        screens.percent(line.accuracy.value),
        between(line.accuracy),
        None if line.p_holm is None else p_value(line.p_holm),
        None if line.size_bytes is None else size(line.size_bytes),
        speed(line.latency)[0],
        None if line.train_s is None else duration.show(line.train_s),
        line.look,
    )
