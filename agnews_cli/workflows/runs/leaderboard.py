"""`agnews runs --leaderboard`: all finished runs on the same test rows, the best first.

Figures and tests come from what each said of the rows; nothing is predicted again, so that a
leaderboard is no look.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agnews_cli.core.run import looks
from agnews_cli.core.run.comparison import AnswersOf, Compared, Comparison, Difference, ToCompare
from agnews_cli.core.run.evaluation import Evaluation, Interval
from agnews_cli.core.run.latency import Latency
from agnews_cli.core.run.state import RunState
from agnews_cli.core.run.work import TEST
from agnews_cli.errors import AgnewsError
from agnews_cli.host import figures
from agnews_cli.store.run import parts, runs
from agnews_cli.store.run.runs import RunFolder
from agnews_cli.workflows.runs import looks_taken
from agnews_cli.workflows.runs.compare import latency, size_bytes
from agnews_cli.workflows.runs.history import sessions_of, where

SCHEMA = "agnews.leaderboard/1"
_SAID = f"{TEST}.safetensors"
_Rows = tuple[str, int, tuple[str, ...]]
"""(the test rows, how many of them were asked about, the classes)"""


@dataclass(frozen=True, slots=True)
class LeaderLine:
    """One run. `p`, `p_holm`: McNemar's exact test against the best, and the same as one of so many
    tests (Holm); None of the best, and where what it said cannot be compared."""

    run: str
    accuracy: Interval
    macro_f1: float
    p: float | None
    p_holm: float | None
    size_bytes: int | None
    latency: Latency | None
    train_s: float | None
    """All sessions of the run, and of all its parts; None: nobody counted them here."""
    look: int | None
    """Which look at these rows it was."""

    def as_json(self) -> dict[str, Any]:
        return {
            "run": self.run,
            "accuracy": self.accuracy.model_dump(),
            "macro_f1": self.macro_f1,
            "p": self.p,
            "p_holm": self.p_holm,
            "size_bytes": self.size_bytes,
            "latency": self.latency and self.latency.as_json(),
            "train_s": self.train_s,
            "look": self.look,
        }


@dataclass(frozen=True, slots=True)
class Board:
    """Runs that were asked about the same test rows. `problem`: why they were not tested against
    each other; else empty."""

    test: str
    rows: int
    looks: int
    lines: tuple[LeaderLine, ...]
    problem: str = ""

    @property
    def best_of(self) -> Interval | None:
        """The first one's accuracy as that of the best of so many looks; None of one."""
        if self.looks < 2:
            return None
        share = self.lines[0].accuracy.value
        low, high = looks.best_of(share, self.rows, self.looks)
        return Interval(value=share, low=low, high=high, method="sidak")

    def as_json(self) -> dict[str, Any]:
        return {
            "test": self.test,
            "rows": self.rows,
            "looks": self.looks,
            "best_of": (best := self.best_of) and best.model_dump(),
            "problem": self.problem,
            "runs": [line.as_json() for line in self.lines],
        }


@dataclass(frozen=True, slots=True)
class Leaderboard:
    store: Path
    boards: tuple[Board, ...]
    """The one with most runs first."""

    def as_json(self) -> dict[str, Any]:
        """Schema `agnews.leaderboard/1` (docs/json.md)."""
        return {
            "schema": SCHEMA,
            "store": str(self.store),
            "boards": [board.as_json() for board in self.boards],
        }


def leaderboard(store: Path | None) -> Leaderboard:
    """Of all finished runs of a store. Raises CannotRead where it cannot be listed."""
    place = where(store).absolute()
    groups: dict[_Rows, list[tuple[RunFolder, Evaluation]]] = {}
    for folder in runs.list_runs(place):
        outcome, found = folder.ended(), folder.evaluated()
        is_whole = outcome is not None and outcome.state == RunState.COMPLETED
        if found is None or found.test is None or found.look is None or not is_whole:
            continue
        of = (found.look.order.test, found.test.rows, found.labels)
        groups.setdefault(of, []).append((folder, found))
    boards = (_board(of, group, place) for of, group in groups.items())
    return Leaderboard(place, tuple(sorted(boards, key=lambda one: -len(one.lines))))


def _board(of: _Rows, group: Sequence[tuple[RunFolder, Evaluation]], store: Path) -> Board:
    taken = looks_taken.of((one for _, one in group), store)
    ordered = {look.evaluation: number for number, look in enumerate(taken, 1)}
    problem, compared = "", None
    try:
        compared = _compared([folder for folder, _ in group])
    except AgnewsError as error:
        problem = error.message
    apart = {one.one: one for one in compared.differences} if compared else {}
    figures_of = {one.name: one for one in compared.models} if compared else {}
    lines = [
        _line(folder, one, figures_of.get(folder.id), apart.get(folder.id), ordered)
        for folder, one in group
    ]
    lines.sort(key=lambda line: (-line.accuracy.value, line.p is not None, line.run))
    return Board(of[0], of[1], len(taken), tuple(lines), problem)


def _compared(folders: Iterable[RunFolder]) -> Comparison | None:
    """Beside the one that is right most often. Raises what is wrong with what they said."""
    there = [folder for folder in folders if folder.has(_SAID)]
    if len(there) < 2:
        return None
    told = tuple(AnswersOf(name=one.id, files=(str(one.path / _SAID),)) for one in there)
    return figures.compare(ToCompare(models=told))


def _line(
    folder: RunFolder,
    found: Evaluation,
    said: Compared | None,
    apart: Difference | None,
    looks: Mapping[str, int],
) -> LeaderLine:
    """`said`: figures of what it said of the rows; else those that it was evaluated with."""
    assert found.test is not None and found.look is not None
    return LeaderLine(
        run=folder.id,
        accuracy=found.test.accuracy if said is None else said.accuracy,
        macro_f1=found.test.macro_f1.value if said is None else said.macro_f1,
        p=None if apart is None else apart.p,
        p_holm=None if apart is None else apart.p_holm,
        size_bytes=size_bytes(folder),
        latency=latency(folder),
        train_s=_train_s(folder),
        look=looks.get(found.look.order.evaluation),
    )


def _train_s(folder: RunFolder) -> float | None:
    found = [session.seconds for run in parts.runs_of(folder) for session in sessions_of(run)]
    return sum(found) if found else None
