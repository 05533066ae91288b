"""What a store knows of test rows: how they were when they were first seen, and every look at them.

    STORE/test-lock/seen/TEST-….json       test rows, first seen with some data
    STORE/test-lock/TEST/EVALUATION.1.json a look at them, written before the rows are read

Each is written once, exclusively and read-only, under a name that follows from what it says: of
two machines on one store neither loses a look, and one that a kill cut off is found again by the
run that goes on. What lies in a store may be anybody's: a look whose file is damaged counts too.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, TypeVar

from pydantic import BaseModel

from agnews_cli.core.run import looks
from agnews_cli.core.run.looks import LookOrder, RecordedLook, Sighting, TakenLook
from agnews_cli.errors import CannotRead
from agnews_cli.store.disk import files
from agnews_cli.store.run import runs

FOLDER: Final = "test-lock"
"""Of a store."""
SEEN: Final = "seen"
MOST_BYTES: Final = 8_000
"""Of one such file."""
MOST_FILES: Final = 10_000
"""Of one folder that are read."""
READ_ONLY: Final = 0o444
TEST: Final = re.compile(r"[0-9a-f]{64}")
SIGHTING: Final = re.compile(r"[0-9a-f]{64}-[0-9a-f]{16}\.json")
LOOK: Final = re.compile(r"([a-z0-9][a-z0-9.-]{0,150})\.([1-9][0-9]{0,6})\.json")
_UNKNOWN: Final = datetime(1970, 1, 1, tzinfo=UTC)

Fact = TypeVar("Fact", bound=BaseModel)


def digest(path: str) -> str:
    """Names a file to whoever asks for it, and to nobody else."""
    return hashlib.sha256(os.fsencode(os.path.realpath(path))).hexdigest()


# ---- first sight ---------------------------------------------------------------------------------


def see(store: Path, seen: Sighting) -> None:
    """Remember test rows, unless they were seen with these data before. Raises CannotWrite or
    NoDiskSpace."""
    _keep(store / FOLDER / SEEN / seen.name, seen)


def sightings(stores: Iterable[Path]) -> tuple[Sighting, ...]:
    """All that is known of test rows in these stores; what is damaged says nothing."""
    found = (
        _read(store / FOLDER / SEEN / name, Sighting)
        for store in dict.fromkeys(stores)
        for name in _names(store / FOLDER / SEEN)
        if SIGHTING.fullmatch(name)
    )
    return tuple(one for one in found if one is not None)


def change(seen: Sighting, stores: Iterable[Path]) -> str:
    """What to tell of test rows that are not those that these data had; empty where they are."""
    places = tuple(stores)
    first = looks.before(seen, sightings(places))
    if first is None:
        return ""
    return looks.changed_words(seen, first, len(known(places, first.test)))


# ---- looks ---------------------------------------------------------------------------------------


def take(folder: Path, order: LookOrder, now: datetime) -> TakenLook:
    """Write a look down before the rows are read. `folder`: of a store.

    The same look, cut off before, is the one that is there. Raises CannotWrite or NoDiskSpace, and
    then nobody may look.
    """
    look = RecordedLook(**order.model_dump(), at=now)
    path = folder / FOLDER / order.test / order.name
    if not _keep(path, look):
        look = _read(path, RecordedLook) or look
    return looks.counted(look, known((folder,), order.test))


def known(stores: Iterable[Path], test: str) -> tuple[RecordedLook, ...]:
    """Every look at these test rows that a store knows of, each once, the oldest first."""
    found: dict[str, RecordedLook] = {}
    for store in dict.fromkeys(stores):
        folder = store / FOLDER / test
        for name in _names(folder):
            parts = LOOK.fullmatch(name)
            if parts is None or name in found:
                continue
            look = _read(folder / name, RecordedLook)
            is_sound = look is not None and (look.test, look.name) == (test, name)
            found[name] = look if look is not None and is_sound else _damaged(parts, test)
    return tuple(sorted(found.values(), key=lambda one: (one.at, one.evaluation, one.time)))


def recounted(taken: TakenLook, stores: Iterable[Path]) -> TakenLook:
    """As many looks as there are by now."""
    return looks.counted(taken.order, known(stores, taken.order.test))


def times(store: Path, order: LookOrder) -> int:
    """How often the model of an evaluation was made and looked at; 0: never."""
    there = (LOOK.fullmatch(name) for name in _names(store / FOLDER / order.test))
    return max((int(one[2]) for one in there if one and one[1] == order.evaluation), default=0)


def gather(store: Path, others: Iterable[Path]) -> None:
    """Bring what other stores know of test rows to this one, and what its runs' figures say, which
    may have come without. Raises CannotWrite or NoDiskSpace."""
    for other in dict.fromkeys(others):
        if other.absolute() == store.absolute():
            continue
        with suppress(CannotRead):  # then it tells nothing
            _bring(store, other)
    for run in runs.list_runs(store):
        evaluation = run.evaluated()
        if evaluation is not None and evaluation.look is not None:
            look = evaluation.look.order
            _keep(store / FOLDER / look.test / look.name, look)


def _bring(store: Path, other: Path) -> None:
    for seen in sightings((other,)):
        see(store, seen)
    for test in filter(TEST.fullmatch, _names(other / FOLDER)):
        for look in known((other,), test):
            _keep(store / FOLDER / test / look.name, look)


def _damaged(parts: re.Match[str], test: str) -> RecordedLook:
    return RecordedLook(
        test=test,
        rows=0,
        run=parts[1],
        evaluation=parts[1],
        time=int(parts[2]),
        why="its file is damaged",
        at=_UNKNOWN,
    )


def _keep(path: Path, fact: BaseModel) -> bool:
    """Whether it was not there."""
    if path.exists():
        return False
    return files.create_exclusively(path, fact.model_dump_json(indent=1).encode(), mode=READ_ONLY)


def _read(path: Path, kind: type[Fact]) -> Fact | None:
    try:
        return kind.model_validate_json(files.read_plain(path, MOST_BYTES))
    except (OSError, ValueError):
        return None


def _names(folder: Path) -> Iterator[str]:
    """Of what lies there; a link is not followed."""
    if files.is_folder(folder):
        yield from files.names(folder)[:MOST_FILES]
