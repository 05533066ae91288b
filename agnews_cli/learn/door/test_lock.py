"""The lock of the test rows, on the worker's side: the one door to them.

Nobody who trains, tunes or chooses is told where test rows lie. Should a stage, an option or a
library ask for their files all the same, Python tells of each file that it opens (`sys.audit`), and
that is an error, also where somebody catches it. What opens files past Python, as Arrow does, is
seen by nobody here: there the lock is that no job names them.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from agnews_cli.core.run.job import Job, TestOrder
from agnews_cli.core.run.looks import TakenLook
from agnews_cli.errors import TestRowsLocked
from agnews_cli.store.run import test_lock


@dataclass(slots=True)
class _Lock:
    """Of this process: Python forgets no audit hook, so there is one."""

    places: Collection[str] = ()
    """Digests of the files that are locked."""
    touched: list[str] = field(default_factory=list)
    is_watched: bool = False


_LOCK = _Lock()


def lock(job: Job) -> None:
    """From now on the files that the job may not see are refused to this process."""
    _LOCK.places, _LOCK.touched = frozenset(job.locked), []
    if _LOCK.places and not _LOCK.is_watched:
        sys.addaudithook(_watch)
        _LOCK.is_watched = True


def require_untouched() -> None:
    """Raises TestRowsLocked where somebody asked for them, whoever caught that."""
    if _LOCK.touched:
        raise TestRowsLocked(path=_LOCK.touched[0])


def opened(job: Job, *, writes: bool) -> tuple[TestOrder, TakenLook | None]:
    """What is to be evaluated, the lock opened; and the look that this is, where this process
    `writes` it down: before any row is read.

    Raises TestRowsLocked, and CannotWrite or NoDiskSpace where the look cannot be kept.
    """
    require_untouched()
    assert job.test is not None
    order = TestOrder.model_validate_json(Path(job.test).read_text("utf-8"))
    taken = test_lock.take(Path(order.store), order.look, datetime.now(UTC)) if writes else None
    _LOCK.places = ()
    return order, taken


def _watch(event: str, args: tuple[object, ...]) -> None:
    if event != "open" or not _LOCK.places or not args:
        return
    path = args[0]
    if not isinstance(path, str | bytes | os.PathLike):
        return
    if test_lock.digest(os.fsdecode(path)) in _LOCK.places:
        name = os.fsdecode(path)
        _LOCK.touched.append(name)
        raise TestRowsLocked(path=name)
