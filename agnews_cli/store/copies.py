"""Copies of the ledger that travel with a store, so that two machines agree on the hours.

`ship` writes to a folder; `merge` takes in whatever lies there, in any order and any number of
times. A folder holds, under names that are never used twice:

- `ledger-MACHINE-NUMBER-SHA.db`: the whole ledger (`VACUUM INTO`: copying a live SQLite file loses
  rows), checked before it gets its name, which carries the beginning of its SHA-256. The newest
  three of a machine stay;
- `SESSION.SIZE.jsonl`: the journals of the machine's own sessions, so that a lost or damaged copy
  costs nothing.

All of it is untrusted when it comes back: what does not verify is passed over, with the reason.
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

_KEPT = 3
_MOST_BYTES = 256 << 20
_COPY = re.compile(r"ledger-([0-9a-f]{8})-(\d{10})-([0-9a-f]{16})\.db")
_JOURNAL = re.compile(r"([0-9A-Za-z.+-]+)\.(\d+)\.jsonl")


@dataclass(frozen=True, slots=True)
class Merged:
    """What was taken in: how many facts were new, and the files passed over with the reason."""

    new: int
    passed_over: tuple[tuple[str, str], ...]


def ship(ledger: Ledger, folder: Path) -> tuple[Path, ...]:
    """Write what is new to `folder`, check it, and then remove what it replaces.

    The files written; none where nothing happened since. Raises CannotWrite, NoDiskSpace or
    CheckpointDamaged (a disk that does not give back what was written); the older copies stay then.
    """
    files_there = files.names(folder)
    written = _ship_journals(ledger, folder, files_there)
    copy = _ship_database(ledger, folder, files_there)
    return written + (() if copy is None else (copy,))


def merge(ledger: Ledger, folder: Path) -> Merged:
    """Take in all that verifies in `folder`, of whatever machine.

    Raises CannotRead where the folder cannot be listed; one that is not there holds nothing.
    """
    new, passed = 0, []
    seen: set[str] = set()
    names = files.names(folder)
    for name in sorted((n for n in names if _COPY.fullmatch(n)), key=_newest_first):
        found = _COPY.fullmatch(name)
        assert found is not None  # it was asked for
        if found[1] in seen:
            continue
        try:
            new += _take_copy(ledger, folder / name, found[3])
            seen.add(found[1])
        except (CheckpointDamaged, CannotWrite) as error:
            passed.append((name, error.message))
        except (sqlite3.Error, ValueError, TypeError, KeyError) as error:
            passed.append((name, f"it is no ledger: {error}"))
    for name in names:
        if _JOURNAL.fullmatch(name):
            told = journal.read(folder / name)
            if told.damaged:
                passed.append((name, f"{told.damaged} damaged line(s) are left out"))
            new += ledger.join(_told(told.entries))
    return Merged(new, tuple(passed))


# ---- shipping ------------------------------------------------------------------------------------


def _ship_journals(ledger: Ledger, folder: Path, there: tuple[str, ...]) -> tuple[Path, ...]:
    written = []
    for session in ledger.sessions():
        path = ledger.journals / f"{session.id}{journal.SUFFIX}"
        if session.machine != ledger.machine or not path.exists():
            continue
        content = path.read_bytes()
        name = f"{session.id}.{len(content)}{journal.SUFFIX}"
        if name not in there:
            _, sha256 = files.write_new(folder / name, [content])
            files.check(folder / name, len(content), sha256)
            written.append(folder / name)
        for old in there:
            found = _JOURNAL.fullmatch(old)
            if found is not None and found[1] == session.id and int(found[2]) < len(content):
                files.remove(folder / old)
    return tuple(written)


def _ship_database(ledger: Ledger, folder: Path, there: tuple[str, ...]) -> Path | None:
    machine = hashlib.sha256(ledger.machine.encode()).hexdigest()[:8]
    mine = sorted(n for n in there if (m := _COPY.fullmatch(n)) is not None and m[1] == machine)
    with tempfile.TemporaryDirectory(prefix="agnews-ledger-") as scratch:
        draft = Path(scratch) / "ledger.db"
        ledger.copy_to(draft)
        content = draft.read_bytes()
        sha256 = hashlib.sha256(content).hexdigest()
        if mine and mine[-1].endswith(f"-{sha256[:16]}.db"):
            return None
        number = int(mine[-1].split("-")[2]) + 1 if mine else 1
        path = folder / f"ledger-{machine}-{number:010}-{sha256[:16]}.db"
        files.write_new(path, [content])
    files.check(path, len(content), sha256)
    _require_whole(path.read_bytes(), path)
    for old in mine[: -_KEPT + 1]:
        files.remove(folder / old)
    return path


# ---- taking in -----------------------------------------------------------------------------------


def _newest_first(name: str) -> tuple[str, int]:
    _, machine, number, _ = name.split("-")
    return machine, -int(number)


def _take_copy(ledger: Ledger, path: Path, sha256: str) -> int:
    content = files.read_small(path, _MOST_BYTES)
    if hashlib.sha256(content).hexdigest()[:16] != sha256:
        raise CheckpointDamaged(path=path, reason="is changed: its SHA-256 differs")
    found = _require_whole(content, path)
    told = [(found.runs[session.run], session) for session in found.sessions]
    return ledger.join(told, found.others)


def _require_whole(content: bytes, path: Path) -> rows.Everything:
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
    told = []
    for stream in sorted({entry.stream for entry in entries}):
        try:
            found = facts.fold(entry for entry in entries if entry.stream == stream)
        except (KeyError, TypeError, ValueError):
            continue
        if found is not None and found[1].id == stream:
            told.append(found)
    return told
