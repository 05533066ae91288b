"""Rows of the ledger's tables from facts, and facts from rows.

Times are text in UTC with microseconds always, so that text sorts as time does.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from typing import Any

from agnews_cli.core.hours.session import (
    JournalEntry,
    QuotaReading,
    Run,
    Session,
    Split,
    Used,
    hidden,
)

BY_HAND = "told by hand"
_ELSEWHERE = "told on another machine"
_SPLIT = tuple(field.name for field in fields(Split))
_COLUMNS = tuple(field.name for field in fields(Session) if field.name != "split") + _SPLIT


def put_run(conn: sqlite3.Connection, run: Run, *, joined: bool = False) -> None:
    if joined:
        row = conn.execute("SELECT * FROM runs WHERE id = ?", (run.id,)).fetchone()
        run = run if row is None else Run(**timed(dict(row))).join(run)
    values = _stamped(asdict(run))
    marks = ", ".join("?" * len(values))
    changes = ", ".join(f"{name} = excluded.{name}" for name in values)
    conn.execute(
        f"INSERT INTO runs ({', '.join(values)}) VALUES ({marks}) "
        f"ON CONFLICT (id) DO UPDATE SET {changes}",
        tuple(values.values()),
    )


def put_session(conn: sqlite3.Connection, session: Session) -> None:
    held = {name: getattr(session, name) for name in _COLUMNS if name not in _SPLIT}
    parts = {name: getattr(session.split, name, None) for name in _SPLIT}
    marks = ", ".join("?" * len(_COLUMNS))
    conn.execute(
        f"INSERT OR REPLACE INTO sessions ({', '.join(_COLUMNS)}) VALUES ({marks})",
        tuple(_stamped(held | parts).values()),
    )


def put_fact(conn: sqlite3.Connection, fact: Used | QuotaReading) -> bool:
    """Whether it was not known before."""
    values = _stamped(asdict(fact))
    table = "used" if isinstance(fact, Used) else "readings"
    marks = ", ".join("?" * len(values))
    added = conn.execute(
        f"INSERT OR IGNORE INTO {table} ({', '.join(values)}) VALUES ({marks})",
        tuple(values.values()),
    )
    return added.rowcount > 0


def put_size(conn: sqlite3.Connection, name: str, size: int) -> None:
    conn.execute("INSERT OR REPLACE INTO journals (name, size) VALUES (?, ?)", (name, size))


def session(row: Mapping[str, Any]) -> Session:
    parts = {name: row[name] for name in _SPLIT}
    split = None if parts["useful_s"] is None else Split(**parts)
    return Session(**timed({n: row[n] for n in _COLUMNS if n not in _SPLIT}), split=split)


def fact(entry: JournalEntry) -> Used | QuotaReading:
    kind = Used if entry.kind == "used" else QuotaReading
    return kind(**timed(entry.data))


def entry(fact: Used | QuotaReading) -> JournalEntry:
    """The one line of its journal."""
    kind = "used" if isinstance(fact, Used) else "reading"
    at = fact.began_at if isinstance(fact, Used) else fact.at
    return JournalEntry(fact.id, 1, kind, at, _stamped(asdict(fact)))


@dataclass(frozen=True, slots=True)
class Everything:
    """All that one database holds."""

    runs: dict[str, Run]
    sessions: tuple[Session, ...]
    others: tuple[Used | QuotaReading, ...]

    @property
    def hidden(self) -> Everything:
        """All that another machine needs: hours and readings; no name, path or command of ours."""
        runs: dict[str, Run] = {}
        for run in (each.hidden for each in self.runs.values()):
            runs[run.id] = runs[run.id].join(run) if run.id in runs else run
        return Everything(
            runs,
            tuple(replace(each, run=hidden(each.run)) for each in self.sessions),
            tuple(map(_hidden_source, self.others)),
        )


def put_everything(conn: sqlite3.Connection, found: Everything) -> None:
    for run in found.runs.values():
        put_run(conn, run)
    for each in found.sessions:
        put_session(conn, each)
    for other in found.others:
        put_fact(conn, other)


def _hidden_source(fact: Used | QuotaReading) -> Used | QuotaReading:
    """Without the name of the file, or the words of the command, that told it."""
    is_open = isinstance(fact, QuotaReading) and fact.how == "official"
    return fact if is_open or fact.source == BY_HAND else replace(fact, source=_ELSEWHERE)


def everything(conn: sqlite3.Connection) -> Everything:
    """Raises ValueError, TypeError, LookupError or sqlite3.Error for rows that are none of ours."""

    def read(table: str) -> list[dict[str, Any]]:
        return [dict(row) for row in conn.execute(f"SELECT * FROM {table} ORDER BY id")]

    runs = [Run(**timed(row)) for row in read("runs")]
    used = [Used(**timed(row)) for row in read("used")]
    readings = [QuotaReading(**timed(row)) for row in read("readings")]
    sessions = tuple(session(row) for row in read("sessions"))
    return Everything({run.id: run for run in runs}, sessions, (*used, *readings))


def _stamped(values: Mapping[str, Any]) -> dict[str, Any]:
    return {n: stamp(v) if isinstance(v, datetime) else v for n, v in values.items()}


def timed(values: Mapping[str, Any]) -> dict[str, Any]:
    """Raises ValueError for a time that is none, or has no zone."""
    return {
        name: utc(datetime.fromisoformat(value))
        if value is not None and (name.endswith("_at") or name == "at")
        else value
        for name, value in values.items()
    }


def utc(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise ValueError("times are UTC-aware here")
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError(f"{moment} is no time") from None


def stamp(moment: datetime) -> str:
    """ISO 8601 in UTC with microseconds always, so that text sorts as time does."""
    return utc(moment).isoformat(timespec="microseconds")
