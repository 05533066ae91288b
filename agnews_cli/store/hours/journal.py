"""Append-only files from which the ledger is rebuilt: one a session, one line an entry.

A line is a JSON object that ends in the CRC-32 of all before it, so a line that a dying machine
half wrote, or that a disk changed, is known for what it is: it is left out and counted, and the
rest still holds. Lines are numbered within their stream; whoever has two copies of a journal takes
every (stream, number) once.
"""

from __future__ import annotations

import json
import os
import re
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from agnews_cli.core.hours.session import JournalEntry
from agnews_cli.core.text import strict_json
from agnews_cli.errors import CheckpointDamaged

SUFFIX = ".jsonl"
_MOST_BYTES = 64 << 20
_TAIL_BYTES = len(b',"crc":"00000000"}')
_CRC = re.compile(rb',"crc":"([0-9a-f]{8})"\}')


@dataclass(frozen=True, slots=True)
class Journal:
    """What a file told: entries in its order, and how many lines of it were no entries."""

    entries: tuple[JournalEntry, ...]
    damaged: int


def append(path: Path, entry: JournalEntry) -> int:
    """Add one line, on disk before this returns; the file's bytes then.

    Whoever calls it holds the ledger's lock: one writer at a time. Raises CannotWrite or
    NoDiskSpace.
    """
    from agnews_cli.store.disk import (  # not before: most openings of the ledger only look
        files,
        private,
    )
    from agnews_cli.store.run.runs import refusal

    line = _line(entry)
    try:
        is_new = not path.exists()
        private.make_folder(path.parent)
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            end = os.lseek(handle, 0, os.SEEK_END)
            if end and os.pread(handle, 1, end - 1) != b"\n":
                line = b"\n" + line  # the last writer died within its line
            files.observe("append", path)
            size = end + len(line)
            while line:
                line = line[os.write(handle, line) :]
            files.observe("append-done", path)
            os.fsync(handle)
        finally:
            os.close(handle)
        if is_new:
            _sync_folder(path.parent)
    except OSError as error:
        raise refusal(path, error, len(line)) from error
    return size


def read(path: Path) -> Journal:
    """Every entry of the file that is whole. A file that cannot be read at all tells nothing."""
    from agnews_cli.store.disk import files

    try:
        content = files.read_small(path, _MOST_BYTES)
    except CheckpointDamaged:
        return Journal((), 1)
    return parse(content)


def parse(content: bytes) -> Journal:
    entries, damaged = [], 0
    for line in content.splitlines():
        entry = _entry(line)
        if entry is not None:
            entries.append(entry)
        elif line.strip():
            damaged += 1
    return Journal(tuple(entries), damaged)


def text(entries: Iterable[JournalEntry]) -> bytes:
    return b"".join(map(_line, entries))


def _line(entry: JournalEntry) -> bytes:
    facts = {
        "stream": entry.stream,
        "seq": entry.seq,
        "kind": entry.kind,
        "at": entry.at.isoformat(),
        "data": dict(entry.data),
    }
    body = json.dumps(facts, separators=(",", ":"), ensure_ascii=True).encode()[:-1]
    return body + b',"crc":"%08x"}\n' % zlib.crc32(body)


def _entry(line: bytes) -> JournalEntry | None:
    body, tail = line[:-_TAIL_BYTES], line[-_TAIL_BYTES:]
    found = _CRC.fullmatch(tail)
    if found is None or int(found[1], 16) != zlib.crc32(body):
        return None
    try:
        facts = strict_json.mapping(line)
        at, seq = datetime.fromisoformat(facts["at"]), strict_json.whole(facts["seq"])
        if seq is None or not isinstance(facts["data"], dict):
            return None
        return JournalEntry(str(facts["stream"]), seq, str(facts["kind"]), at, facts["data"])
    except (ValueError, KeyError, TypeError):
        return None


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
