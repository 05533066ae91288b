"""What runs there are, and how each stands."""

from __future__ import annotations

import shlex
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from agnews_cli.core.hours.session import Session, hidden
from agnews_cli.core.run.state import RunState
from agnews_cli.errors import AgnewsError
from agnews_cli.host.detect import detect
from agnews_cli.store.disk.home import home
from agnews_cli.store.disk.names import local
from agnews_cli.store.run import runs


@dataclass(frozen=True, slots=True)
class RunLine:
    """One run of a store. `accuracy` is on the test split, None where or while there is none."""

    run: str
    state: RunState
    accuracy: float | None
    validation_accuracy: float | None
    created: str
    folder: str

    @property
    def accuracy_text(self) -> str:
        if self.accuracy is not None:
            return f"{self.accuracy:.2%}"
        seen = self.validation_accuracy
        return "" if seen is None else f"none; {seen:.2%} on validation"

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def where(store: Path | None) -> Path:
    """The folder that is meant; where none is named, the one that `agnews auto` would work in."""
    from agnews_cli.workflows.runs.stores import choose

    found = store or choose(()).folder
    return local(found) if found else runs.default_store(detect().name)


def is_usual(folder: runs.RunFolder) -> bool:
    """Whether commands find the run by its id alone."""
    return folder.path.parent == where(None).absolute()


def word_for(folder: runs.RunFolder) -> str:
    """What to type for the run: its id, or where it lies elsewhere its folder."""
    return shlex.quote(folder.id if is_usual(folder) else str(folder.path))


def history(store: Path | None) -> tuple[RunLine, ...]:
    """The newest first."""
    return newest(store, None)[0]


def newest(
    store: Path | None, most: int | None
) -> tuple[tuple[RunLine, ...], int, tuple[str, ...]]:
    """The newest first, no more than `most`; how many older ones there are; the names of damaged
    ones."""
    found, damaged = runs.sound_and_damaged(where(store))
    return tuple(map(_line, found[:most])), len(found) - len(found[:most]), damaged


def sessions_of(run: str) -> tuple[Session, ...]:
    """As the ledger counted them, the oldest first; none where it does not answer.

    What else is known of a run does not wait for that, nor for a home that can be written.
    """
    from agnews_cli.store.hours.copies import glance
    from agnews_cli.store.hours.ledger import Ledger

    found = glance(home() / "ledger.db")
    if found is None:
        with suppress(AgnewsError), Ledger() as ledger:  # which mends it
            return ledger.sessions(run)
        return ()
    # Those of another machine came with the store, where runs have no names.
    return tuple(each for each in found.sessions if each.run in (run, hidden(run)))


def _line(folder: runs.RunFolder) -> RunLine:
    outcome, evaluation = folder.ended(), folder.evaluated()
    test = evaluation.test if evaluation else None
    created = folder.created_at()
    return RunLine(
        run=folder.id,
        state=outcome.state if outcome else RunState.UNFINISHED,
        accuracy=test.accuracy.value if test else None,
        validation_accuracy=evaluation.validation.accuracy.value if evaluation else None,
        created=created.strftime("%Y-%m-%d %H:%M UTC") if created else "",
        folder=str(folder.path),
    )
