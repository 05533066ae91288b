"""Copies of the ledger that travel with a store, so that two machines agree on the hours.

`ship` writes to a folder; `merge` takes in whatever lies there, in any order and any number of
times. A folder holds, under names that are never used twice:

- `ledger-NUMBER-MACHINE-SHA.db`: the whole ledger (`VACUUM INTO`: copying a live SQLite file loses
  rows), checked before anything older goes; its name carries the beginning of its SHA-256;
- `SESSION.SIZE.jsonl`: the journals of the machine's own sessions, so that a lost or damaged copy
  costs nothing.

Whoever ships takes in first what is there, so a newer copy holds all that an older one held. All of
it is untrusted when it comes back: what does not verify is passed over, with the reason.
"""

from __future__ import annotations

import hashlib
import re
import sqlite3
import tempfile
from dataclasses import dataclass
from pathlib import Path

from agnews_cli.core import session as facts
from agnews_cli.core.session import Entry, Told
from agnews_cli.errors import CannotWrite, CheckpointDamaged
from agnews_cli.store import database, files, journal, rows
from agnews_cli.store.ledger import Ledger

FOLDER = "ledger"
"""Where copies lie in a store."""
_KEPT = 3
_KEPT_JOURNALS = 50
MOST_BYTES = 256 << 20
_NOT_OURS = (sqlite3.Error, ValueError, TypeError, KeyError, AttributeError)
"""What comes of reading something else as ours."""
_COPY = re.compile(r"ledger-(\d{10})-([0-9a-f]{8})-([0-9a-f]{16})\.db")
_JOURNAL = re.compile(r"([0-9A-Za-z.+-]+)\.(\d+)\.jsonl")


@dataclass(frozen=True, slots=True)
class Merged:
    """What was taken in: how many facts were new, and the files passed over with the reason."""

    new: int
    passed_over: tuple[tuple[str, str], ...]


def is_copy(name: str) -> bool:
    """Whether a file of this name is a copy of a whole ledger."""
    return _COPY.fullmatch(name) is not None


def ship(ledger: Ledger, folder: Path) -> tuple[Path, ...]:
    """Take in what is there, write what is new to `folder`, check it, remove what it replaces.

    The files written; none where nothing happened since. Raises CannotWrite, NoDiskSpace or
    CheckpointDamaged (a disk that does not give back what was written); the older copies stay then.
    """
    try:
        there = files.names(folder)
        merged = merge(ledger, folder)
        written = _ship_journals(ledger, folder, there)
        copy = _ship_database(ledger, folder, there)
        _remove_replaced(ledger, folder, there, damaged={name for name, _ in merged.passed_over})
    except (OSError, sqlite3.Error) as error:  # a full folder for temporary files, for example
        raise CannotWrite(path=folder, reason=error) from error
    return written if copy is None else (*written, copy)


def merge(ledger: Ledger, folder: Path) -> Merged:
    """Take in all that verifies in `folder`, of whatever machine, the newest first.

    Raises CannotRead where the folder cannot be listed; one that is not there holds nothing.
    """
    new, passed = 0, []
    for name in reversed(files.names(folder)):
        if (found := _COPY.fullmatch(name)) is not None:
            try:
                new += _take_copy(ledger, folder / name, found[3])
            except (CheckpointDamaged, CannotWrite) as error:
                passed.append((name, error.message))
            except _NOT_OURS as error:
                passed.append((name, f"it is no ledger: {error}"))
        elif _JOURNAL.fullmatch(name):
            told = journal.read(folder / name)
            if told.damaged:
                passed.append((name, f"{told.damaged} damaged line(s) are left out"))
            try:
                new += ledger.join(_told(told.entries))
            except _NOT_OURS as error:
                passed.append((name, f"it is no journal: {error}"))
    return Merged(new, tuple(passed))


# ---- shipping ------------------------------------------------------------------------------------


def _ship_journals(ledger: Ledger, folder: Path, there: tuple[str, ...]) -> tuple[Path, ...]:
    written = []
    mine = [s for s in ledger.sessions() if s.machine == ledger.machine]
    for session in mine[-_KEPT_JOURNALS:]:
        path = ledger.journals / f"{session.id}{journal.SUFFIX}"
        content = path.read_bytes() if path.exists() else b""
        name = f"{session.id}.{len(content)}{journal.SUFFIX}"
        if content and name not in there:
            _, sha256 = files.write_new(folder / name, [content])
            files.check(folder / name, len(content), sha256)
            written.append(folder / name)
    return tuple(written)


def _ship_database(ledger: Ledger, folder: Path, there: tuple[str, ...]) -> Path | None:
    copies = [name for name in there if _COPY.fullmatch(name)]
    with tempfile.TemporaryDirectory(prefix="agnews-ledger-") as scratch:
        draft = Path(scratch) / "ledger.db"
        ledger.copy_to(draft)
        content = draft.read_bytes()
    sha256 = hashlib.sha256(content).hexdigest()
    if copies and copies[-1].endswith(f"-{sha256[:16]}.db"):
        return None
    number = int(copies[-1].split("-")[1]) + 1 if copies else 1
    machine = hashlib.sha256(ledger.machine.encode()).hexdigest()[:8]
    path = folder / f"ledger-{number:010}-{machine}-{sha256[:16]}.db"
    files.write_new(path, [content])
    files.check(path, len(content), sha256)
    _opened(files.read_small(path, MOST_BYTES), path)
    return path


def _remove_replaced(
    ledger: Ledger, folder: Path, there: tuple[str, ...], damaged: set[str]
) -> None:
    """Of what was there and was taken in: older copies, and journals that are not needed."""
    now_there = [name for name in files.names(folder) if name not in damaged]
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


def _take_copy(ledger: Ledger, path: Path, sha256: str) -> int:
    content = files.read_small(path, MOST_BYTES)
    if hashlib.sha256(content).hexdigest()[:16] != sha256:
        raise CheckpointDamaged(path=path, reason="is changed: its SHA-256 differs")
    found = _opened(content, path)
    told = [(found.runs[session.run], session) for session in found.sessions]
    return ledger.join(told, found.others)


def _opened(content: bytes, path: Path) -> rows.Everything:
    """Everything that a copy holds; opened as a file of its own, for it may need migrating."""
    with tempfile.TemporaryDirectory(prefix="agnews-ledger-") as scratch:
        copy = Path(scratch) / "ledger.db"
        copy.write_bytes(content)
        conn = database.connect(copy)
        try:
            found = conn.execute("PRAGMA integrity_check(1)").fetchone()[0]
            if found != "ok":
                raise CheckpointDamaged(path=path, reason=f"is damaged: {found}")
            return rows.everything(conn)
        finally:
            conn.close()


def _told(entries: tuple[Entry, ...]) -> list[Told]:
    streams = sorted({entry.stream for entry in entries})
    told = [facts.fold(e for e in entries if e.stream == stream) for stream in streams]
    return [found for found in told if found is not None and found[1].id in streams]
