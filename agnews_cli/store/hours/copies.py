"""Copies of the ledger that travel with a store, so that two machines agree on the hours.

`ship` writes to a folder; `merge` takes in whatever lies there, in any order and any number of
times. A folder holds, under names that are never used twice:

- `ledger-NUMBER-MACHINE-SHA.db`: all hours, checked before anything older goes; its name carries
  the beginning of its SHA-256;
- `SESSION.SIZE.jsonl`: the journals of the machine's own sessions, so that a lost or damaged copy
  costs nothing. SIZE is the journal's here.

What is shipped names no run and no folder: a store is read by others, and the hours are all that
they need. A run is called by a hash of its id, by which only those who know the run know it.

Whoever ships takes in first what is there, so a newer copy holds all that an older one held. All of
it is untrusted when it comes back: what does not verify, or cannot be, is passed over with the
reason. How much is looked at is bounded.
"""

from __future__ import annotations

import hashlib
import re
import sqlite3
import tempfile
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypeVar

from agnews_cli.core.hours import session as facts
from agnews_cli.core.hours.session import JournalEntry, QuotaReading, Told, Used
from agnews_cli.core.saving import fencing
from agnews_cli.errors import CannotWrite, CheckpointDamaged
from agnews_cli.store.disk import files
from agnews_cli.store.hours import database, journal, records
from agnews_cli.store.hours.ledger import Ledger

FOLDER = "ledger"
"""Where copies lie in a store."""
_KEPT = 3
_KEPT_JOURNALS = 50
MOST_BYTES = 32 << 20
"""Of one copy: some 50,000 sessions."""
_MOST_COPIES = 20
_MOST_JOURNALS = 1_000
_MOST_JOURNAL_BYTES = 128 << 20
"""Of all journals that are looked at in one go."""
_MOST_SESSION = timedelta(days=100)
_MOST_COUNTED = 1_000_000
"""Copies that were ever made for one store; all but the newest are removed."""
_WRONG_CLOCK = timedelta(days=1)
_NOT_OURS = (sqlite3.Error, ValueError, TypeError, LookupError, AttributeError, OverflowError)
"""What comes of reading something else as ours."""
_COPY = re.compile(r"ledger-([0-9]{10})-([0-9a-f]{8})-([0-9a-f]{16})\.db")
_JOURNAL = re.compile(r"([0-9A-Za-z.+-]{1,100})\.([0-9]{1,12})\.jsonl")


_Fact = TypeVar("_Fact", facts.Session, Used, QuotaReading, Used | QuotaReading)


@dataclass(frozen=True, slots=True)
class Merged:
    """What was taken in: how many facts were new, and the files passed over with the reason.

    Of those `in_part` some sessions were left out: a clock was wrong when they were counted.
    """

    new: int
    passed_over: tuple[tuple[str, str], ...]
    in_part: tuple[tuple[str, str], ...] = ()


def is_copy(name: str) -> bool:
    """Whether a file of this name is a copy of a whole ledger."""
    return _COPY.fullmatch(name) is not None


def ship(
    ledger: Ledger,
    folder: Path,
    *,
    now: datetime | None = None,
    tell: Callable[[str], None] = lambda text: None,
    taken: set[str] | None = None,
) -> tuple[Path, ...]:
    """Take in what is there, write what is new to `folder`, check it, remove what it replaces.

    The files written; none where nothing happened since. `tell` hears of every file that was
    passed over; `now` and `taken` as in `merge`. Raises CannotWrite, also where the folder is a
    link, NoDiskSpace or CheckpointDamaged (a disk that does not give back what was written); the
    older copies stay then.
    """
    if folder.is_symlink():
        raise CannotWrite(path=folder, reason="it is a link, and none in a store is followed")
    try:
        merged = merge(ledger, folder, now=now, taken=taken)
        for name, reason in merged.passed_over:
            tell(f"{folder / name} is passed over: {reason}")
        for name, reason in merged.in_part:
            tell(f"{folder / name} is passed over in part: {reason}")
        there = sound(files.names(folder))
        written = _ship_journals(ledger, folder, there)
        copy = _ship_database(ledger, folder, there)
        if copy is not None and taken is not None:
            taken.add(copy.name)
        _remove_replaced(ledger, folder, there, damaged={name for name, _ in merged.passed_over})
    except (OSError, sqlite3.Error) as error:  # a full folder for temporary files, for example
        raise CannotWrite(path=folder, reason=error) from error
    return written if copy is None else (*written, copy)


def merge(
    ledger: Ledger, folder: Path, *, now: datetime | None = None, taken: set[str] | None = None
) -> Merged:
    """Take in all that verifies in `folder`, of whatever machine, the newest first.

    `taken`: copies of which nothing is new, since they were taken in before; more are added. They
    are named by what they hold.

    With `now`, hours that lie ahead of it, or that no session can have taken, are passed over too.
    Raises CannotRead where the folder cannot be listed; one that is not there holds nothing.
    """
    new, passed, in_part, left_bytes = 0, [], [], _MOST_JOURNAL_BYTES
    there = files.names(folder)
    believed = sound(there)
    for name in there:
        if name not in believed:
            passed.append((name, "no machine has counted up to its number"))
    copies_ = [name for name in reversed(believed) if _COPY.fullmatch(name)]
    journals = [name for name in reversed(believed) if _JOURNAL.fullmatch(name)]
    taken = set() if taken is None else taken
    for name in copies_[:_MOST_COPIES]:
        if name in taken:
            continue
        try:
            count, left_out = _take_copy(ledger, folder / name, now)
            new += count
            in_part += [(name, reason) for reason in left_out[:1]]
            taken.add(name)
        except (CheckpointDamaged, CannotWrite) as error:
            passed.append((name, error.message))
        except _NOT_OURS as error:
            passed.append((name, f"it is no ledger: {error}"))
    for name in journals[:_MOST_JOURNALS]:
        try:
            content = files.read_plain(folder / name, left_bytes)
        except OSError as error:
            passed.append((name, error.strerror or str(error)))
            continue
        left_bytes -= len(content)
        told = journal.parse(content)
        if told.damaged:
            passed.append((name, f"{told.damaged} damaged line(s) are left out"))
        try:
            sessions, left_out = _believed(_told(told.entries), now)
            new += ledger.join(sessions)
            in_part += [(name, reason) for reason in left_out[:1]]
        except _NOT_OURS as error:
            passed.append((name, f"it is no journal: {error}"))
    for left in (copies_[_MOST_COPIES:], journals[_MOST_JOURNALS:]):
        passed += [(name, "there are too many such files") for name in left[:1]]
    return Merged(new, tuple(passed), tuple(in_part))


def sound(names: Iterable[str]) -> tuple[str, ...]:
    """The names, in order, without copies whose number no machine can have counted up to."""
    found = tuple(sorted(names))
    numbers = {name: int(copy[1]) for name in found if (copy := _COPY.fullmatch(name))}
    newest = fencing.newest(numbers.values(), step=_MOST_COUNTED)
    return tuple(name for name in found if numbers.get(name, 0) <= newest)


# ---- shipping ------------------------------------------------------------------------------------


def _ship_journals(ledger: Ledger, folder: Path, there: tuple[str, ...]) -> tuple[Path, ...]:
    written = []
    mine = [s for s in ledger.sessions() if s.machine == ledger.machine]
    for session in mine[-_KEPT_JOURNALS:]:
        path = ledger.journals / f"{session.id}{journal.SUFFIX}"
        size_bytes = path.stat().st_size if path.exists() else 0
        name = f"{session.id}.{size_bytes}{journal.SUFFIX}"
        if size_bytes and name not in there:
            content = journal.text(map(facts.hidden_entry, journal.read(path).entries))
            _, sha256 = files.write_new(folder / name, [content])
            files.check(folder / name, len(content), sha256)
            written.append(folder / name)
    return tuple(written)


def _ship_database(ledger: Ledger, folder: Path, there: tuple[str, ...]) -> Path | None:
    copies = [name for name in there if _COPY.fullmatch(name)]
    with tempfile.TemporaryDirectory(prefix="agnews-ledger-") as scratch:
        draft = Path(scratch) / "ledger.db"
        ledger.write_hidden_to(draft)
        content = draft.read_bytes()
    sha256 = hashlib.sha256(content).hexdigest()
    if copies and copies[-1].endswith(f"-{sha256[:16]}.db"):
        return None
    number = int(copies[-1].split("-")[1]) + 1 if copies else 1
    machine = hashlib.sha256(ledger.machine.encode()).hexdigest()[:8]
    path = folder / f"ledger-{number:010}-{machine}-{sha256[:16]}.db"
    files.write_new(path, [content])
    files.check(path, len(content), sha256)
    _opened(content)
    return path


def _remove_replaced(
    ledger: Ledger, folder: Path, there: tuple[str, ...], damaged: set[str]
) -> None:
    """Of what was there and was taken in: older copies, and journals that are not needed."""
    now_there = [name for name in sound(files.names(folder)) if name not in damaged]
    kept = [name for name in now_there if _COPY.fullmatch(name)][-_KEPT:]
    for name in there:
        if _COPY.fullmatch(name) and kept and name < kept[0]:
            files.remove(folder / name)
    sizes: dict[str, int] = {}
    for name in now_there:
        if found := _JOURNAL.fullmatch(name):
            sizes[found[1]] = max(sizes.get(found[1], 0), int(found[2]))
    over = [s.id for s in ledger.sessions() if s.state != "open"][:-_KEPT_JOURNALS]
    for name in there:
        if (found := _JOURNAL.fullmatch(name)) is not None and name not in damaged:
            is_older = int(found[2]) < sizes.get(found[1], 0)
            if is_older or found[1] in over:
                files.remove(folder / name)


# ---- taking in -----------------------------------------------------------------------------------


def _take_copy(ledger: Ledger, path: Path, now: datetime | None) -> tuple[int, list[str]]:
    """The number of new facts, and why some of what it tells is left out."""
    content = files.read_small(path, MOST_BYTES)
    found = _COPY.fullmatch(path.name)
    if found is None or hashlib.sha256(content).hexdigest()[:16] != found[3]:
        raise CheckpointDamaged(path=path, reason="is changed: its SHA-256 differs")
    held = _opened(content)
    told, left_out = _believed([(held.runs[s.run], s) for s in held.sessions], now)
    others = []
    for other in held.others:
        try:
            others.append(_required(other, now))
        except ValueError as error:
            left_out.append(str(error))
    return ledger.join(told, others), left_out


def _believed(told: Iterable[Told], now: datetime | None) -> tuple[list[Told], list[str]]:
    """What was told, without the folders of other machines; and why some of it is left out.

    A clock that was wrong for a while spoils the sessions of that while, and no others.
    """
    found, left_out = [], []
    for run, session in told:
        try:
            found.append((replace(run, folder=""), _required(session, now)))
        except ValueError as error:
            left_out.append(str(error))
    return found, left_out


def _required(fact: _Fact, now: datetime | None) -> _Fact:
    """The fact. Raises ValueError where no clock and no machine can have come to it."""
    if now is None:
        return fact
    if isinstance(fact, Used):
        moments = [fact.began_at]
    elif isinstance(fact, QuotaReading):
        moments = [fact.at]
    else:
        moments = [fact.opened_at, fact.beat_at]
        if timedelta(seconds=fact.seconds) > _MOST_SESSION:
            raise ValueError(f"session {fact.id} says that it took {fact.seconds:.0f} s")
    for moment in moments:
        if moment - now > _WRONG_CLOCK:
            raise ValueError(f"{fact.id} is of {moment.isoformat()}, which is still to come")
    return fact


def glance(path: Path) -> records.Everything | None:
    """What the ledger at `path` holds, read from a copy: opening it may mend it, or write journals.

    None where it is damaged, or another process keeps it to itself.
    """
    if not path.exists():
        return records.Everything({}, (), ())
    try:
        with closing(sqlite3.connect(path, timeout=database.BUSY_S)) as conn:
            conn.execute("BEGIN").execute("SELECT 1 FROM sqlite_schema").fetchone()
            content = conn.serialize()  # of one moment, since nobody can write meanwhile
        return _opened(content)
    except sqlite3.Error:
        return None


def _opened(content: bytes) -> records.Everything:
    """Everything that a copy holds; opened as a file of its own, for it may need migrating."""
    with tempfile.TemporaryDirectory(prefix="agnews-ledger-") as scratch:
        copy = Path(scratch) / "ledger.db"
        copy.write_bytes(content)
        with closing(database.connect(copy, is_copy=True)) as conn:
            return records.everything(conn)


def _told(entries: tuple[JournalEntry, ...]) -> list[Told]:
    streams = sorted({entry.stream for entry in entries})
    told = [facts.fold(e for e in entries if e.stream == stream) for stream in streams]
    return [found for found in told if found is not None and found[1].id in streams]
