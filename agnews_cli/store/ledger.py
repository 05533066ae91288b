"""The ledger: which runs there are, and how long each session held which accelerator.

An index in SQLite that the stores' files can rebuild, except for the sessions' hours, which count
against a quota even when the machine dies: their row is written first, then beaten. A dying
process never records its own death; the next one that opens the ledger does, from the last beat.

Time is given (`now`), never read. Every write is one transaction, and on disk before it returns
(synchronous FULL). The journal is DELETE, not WAL: one file, so that a broken one can be set
aside whole, and nothing here is written often enough for WAL to matter.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

import sqlite_utils

from agnews_cli.errors import CannotWrite
from agnews_cli.store.home import home

RunState = Literal["pending", "running", "paused", "completed", "failed", "interrupted"]
SessionState = Literal["open", "finished", "deadline", "interrupted", "error", "user", "died"]
SessionEnd = Literal["finished", "deadline", "interrupted", "error", "user", "died"]

_BUSY_S = 10.0
# A process that started this long after the session was opened only inherited its number; less
# may be a clock that was set.
_REUSED_PID_S = 60.0

# Applied in order, each in one transaction with its number; never edited once released.
_MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        """
        CREATE TABLE runs (
            id TEXT PRIMARY KEY,
            preset TEXT NOT NULL,
            dataset TEXT NOT NULL,
            seed INTEGER NOT NULL,
            state TEXT NOT NULL CHECK (state IN
                ('pending', 'running', 'paused', 'completed', 'failed', 'interrupted')),
            folder TEXT NOT NULL,
            created_at TEXT NOT NULL,
            updated_at TEXT NOT NULL
        ) STRICT
        """,
        """
        CREATE TABLE sessions (
            id INTEGER PRIMARY KEY,
            run TEXT NOT NULL REFERENCES runs(id),
            platform TEXT NOT NULL,
            accelerator TEXT NOT NULL,
            pid INTEGER NOT NULL,
            opened_at TEXT NOT NULL,
            beat_at TEXT NOT NULL,
            ended_at TEXT,
            state TEXT NOT NULL CHECK (state IN
                ('open', 'finished', 'deadline', 'interrupted', 'error', 'user', 'died')),
            seconds REAL NOT NULL CHECK (seconds >= 0),
            CHECK ((state = 'open') = (ended_at IS NULL))
        ) STRICT
        """,
        "CREATE INDEX sessions_by_run ON sessions(run)",
    ),
)


@dataclass(frozen=True, slots=True)
class RunRow:
    id: str
    preset: str
    dataset: str
    seed: int
    state: RunState
    folder: str
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class SessionRow:
    """`seconds` is the time held so far: to the end, or to the last beat of an open session."""

    id: int
    run: str
    platform: str
    accelerator: str
    pid: int
    opened_at: datetime
    beat_at: datetime
    ended_at: datetime | None
    state: SessionState
    seconds: float


class Ledger:
    """The open ledger. Use as a context manager; `notes` says what was mended on opening.

    For one thread: another one that beats opens its own.

    Raises CannotWrite where the folder cannot be written, another process holds the file for
    too long, or a newer agnews wrote it.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or home() / "ledger.db"
        self.notes: tuple[str, ...] = ()
        self._db: sqlite_utils.Database | None = None

    def __enter__(self) -> Ledger:
        with self._refusals():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            try:
                self._db = self._opened()
            except sqlite3.DatabaseError as error:
                if not _is_corrupt(error):
                    raise
                self._db = self._begun_anew()
            try:
                self._close_dead_sessions()
            except BaseException:
                self.__exit__(None, None, None)
                raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._db is not None:
            self._db.conn.close()
            self._db = None

    # ---- runs -----------------------------------------------------------------------------------

    def record_run(
        self,
        run: str,
        *,
        preset: str,
        dataset: str,
        seed: int,
        folder: str,
        now: datetime,
        state: RunState = "pending",
    ) -> None:
        """Add the run; of one that is known, only where it lies and its state change."""
        with self._writing() as conn:
            conn.execute(
                """
                INSERT INTO runs (id, preset, dataset, seed, state, folder, created_at, updated_at)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?)
                ON CONFLICT (id) DO UPDATE SET
                    state = excluded.state, folder = excluded.folder,
                    updated_at = excluded.updated_at
                """,
                (run, preset, dataset, seed, state, folder, _stamp(now), _stamp(now)),
            )

    def set_state(self, run: str, state: RunState, now: datetime) -> None:
        """Raises KeyError for a run that was never recorded."""
        with self._writing() as conn:
            changed = conn.execute(
                "UPDATE runs SET state = ?, updated_at = ? WHERE id = ?", (state, _stamp(now), run)
            ).rowcount
            if not changed:
                raise KeyError(run)

    def runs(self) -> tuple[RunRow, ...]:
        """All runs, the newest first."""
        return tuple(
            RunRow(
                **row
                | {
                    "created_at": datetime.fromisoformat(row["created_at"]),
                    "updated_at": datetime.fromisoformat(row["updated_at"]),
                }
            )
            for row in self._rows("SELECT * FROM runs ORDER BY created_at DESC, id")
        )

    # ---- sessions -------------------------------------------------------------------------------

    def open_session(
        self, run: str, *, platform: str, accelerator: str, now: datetime, pid: int | None = None
    ) -> int:
        """Begin to count. The run must be recorded; `pid` is the process that will beat, or ours.

        Raises KeyError for a run that was never recorded.
        """
        with self._writing() as conn:
            if conn.execute("SELECT 1 FROM runs WHERE id = ?", (run,)).fetchone() is None:
                raise KeyError(run)
            cursor = conn.execute(
                """
                INSERT INTO sessions
                    (run, platform, accelerator, pid, opened_at, beat_at, state, seconds)
                VALUES (?, ?, ?, ?, ?, ?, 'open', 0)
                """,
                (run, platform, accelerator, pid or os.getpid(), _stamp(now), _stamp(now)),
            )
            assert cursor.lastrowid is not None  # an INSERT has one
            return cursor.lastrowid

    def beat(self, session: int, now: datetime) -> None:
        """Still alive. Nothing happens to a session that has ended; a clock set back is ignored."""
        with self._writing() as conn:
            row = self._open_row(session)
            if row is not None and _stamp(now) > row["beat_at"]:
                conn.execute(
                    "UPDATE sessions SET beat_at = ?, seconds = ? WHERE id = ?",
                    (_stamp(now), _held_s(row["opened_at"], _stamp(now)), session),
                )

    def close_session(self, session: int, state: SessionEnd, now: datetime) -> None:
        """Stop counting. Closing twice changes nothing: the first reason stands."""
        with self._writing() as conn:
            row = self._open_row(session)
            if row is not None:
                _close(conn, session, state, row["opened_at"], max(_stamp(now), row["beat_at"]))

    def sessions(self, run: str | None = None) -> tuple[SessionRow, ...]:
        """Sessions of one run, or all, the oldest first."""
        where, values = ("WHERE run = ?", [run]) if run is not None else ("", [])
        return tuple(
            SessionRow(
                **row
                | {
                    "opened_at": datetime.fromisoformat(row["opened_at"]),
                    "beat_at": datetime.fromisoformat(row["beat_at"]),
                    "ended_at": row["ended_at"] and datetime.fromisoformat(row["ended_at"]),
                }
            )
            for row in self._rows(f"SELECT * FROM sessions {where} ORDER BY opened_at, id", values)
        )

    # ---- opening --------------------------------------------------------------------------------

    def _opened(self) -> sqlite_utils.Database:
        db = sqlite_utils.Database(sqlite3.connect(self.path, timeout=_BUSY_S))
        try:
            # By hand, not by a plugin or by Python: one BEGIN IMMEDIATE for each write.
            db.conn.isolation_level = None
            for pragma in ("journal_mode = DELETE", "synchronous = FULL", "foreign_keys = ON"):
                db.conn.execute(f"PRAGMA {pragma}").fetchall()
            found = db.conn.execute("PRAGMA quick_check(1)").fetchone()[0]
            if found != "ok":
                raise _Corrupt(found)
            _migrate(db.conn, self.path)
            _require_sense(db.conn)
        except BaseException:
            db.conn.close()
            raise
        return db

    def _begun_anew(self) -> sqlite_utils.Database:
        """Set the broken file aside; under a lock, since another process may be doing the same."""
        with self.path.with_name(self.path.name + ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            try:
                return self._opened()  # the other one has mended it
            except sqlite3.DatabaseError as error:
                if not _is_corrupt(error):
                    raise
            number = 1
            while (aside := self.path.with_name(f"{self.path.name}.broken-{number}")).exists():
                number += 1
            journal = self.path.with_name(self.path.name + "-journal")
            self.path.rename(aside)
            if journal.exists():  # it belongs to the broken file and would be played into the new
                journal.rename(aside.with_name(aside.name + "-journal"))
            self.notes += (
                f"The ledger {self.path} was damaged: it is set aside as {aside.name} and a new "
                f"one begun. Runs are untouched; earlier sessions' hours are not counted.",
            )
            return self._opened()

    def _close_dead_sessions(self) -> None:
        """Close from their last beat the sessions whose process is gone, and mark their runs."""
        with self._writing() as conn:
            rows = self._rows("SELECT * FROM sessions WHERE state = 'open'")
            for row in rows:
                if _is_alive(row["pid"], datetime.fromisoformat(row["opened_at"])):
                    continue
                _close(conn, row["id"], "died", row["opened_at"], row["beat_at"])
                conn.execute(
                    """
                    UPDATE runs SET state = 'interrupted', updated_at = max(updated_at, ?)
                    WHERE id = ? AND state = 'running' AND NOT EXISTS
                        (SELECT 1 FROM sessions WHERE run = runs.id AND state = 'open')
                    """,
                    (row["beat_at"], row["run"]),
                )
                self.notes += (
                    f"A session of run {row['run']} had died; it is closed at its last sign of "
                    f"life, {row['beat_at']}.",
                )

    # ---- SQL ------------------------------------------------------------------------------------

    def _conn(self) -> sqlite3.Connection:
        if self._db is None:
            raise RuntimeError("the ledger is not open: use `with Ledger() as ledger`")
        conn: sqlite3.Connection = self._db.conn
        return conn

    def _rows(self, sql: str, values: Sequence[Any] = ()) -> list[dict[str, Any]]:
        self._conn()
        assert self._db is not None  # _conn has seen to it
        with self._refusals():
            return list(self._db.query(sql, values))

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        conn = self._conn()
        with self._refusals(), _transaction(conn):
            yield conn

    @contextmanager
    def _refusals(self) -> Iterator[None]:
        """What the disk refuses becomes CannotWrite; a broken rule of ours (Integrity) does not."""
        hint = "Name another folder for it: AGNEWS_HOME=DIR"
        try:
            yield
        except sqlite3.IntegrityError:
            raise
        except (sqlite3.DatabaseError, OSError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise CannotWrite(path=self.path, reason=reason, hint=hint) from error

    def _open_row(self, session: int) -> dict[str, Any] | None:
        rows = self._rows("SELECT * FROM sessions WHERE id = ? AND state = 'open'", [session])
        return rows[0] if rows else None


class _Corrupt(sqlite3.DatabaseError):
    """quick_check found damage."""


def _is_corrupt(error: sqlite3.DatabaseError) -> bool:
    codes = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
    # Extended codes carry the primary one in the low byte.
    return isinstance(error, _Corrupt) or (getattr(error, "sqlite_errorcode", 0) & 0xFF) in codes


@contextmanager
def _transaction(conn: sqlite3.Connection) -> Iterator[None]:
    conn.execute("BEGIN IMMEDIATE")
    try:
        yield
        conn.execute("COMMIT")
    except BaseException:
        if conn.in_transaction:
            conn.execute("ROLLBACK")
        raise


def _migrate(conn: sqlite3.Connection, path: Path) -> None:
    def version() -> int:
        return int(conn.execute("PRAGMA user_version").fetchone()[0])

    if version() > len(_MIGRATIONS):
        raise CannotWrite(
            path=path,
            reason=f"a newer agnews wrote it (version {version()}; this one knows "
            f"{len(_MIGRATIONS)})",
            hint="Upgrade: pip install --upgrade agnews-cli",
        )
    while version() < len(_MIGRATIONS):
        with _transaction(conn):
            step = version()  # again, now that nobody else can migrate
            if step < len(_MIGRATIONS):
                for statement in _MIGRATIONS[step]:
                    conn.execute(statement)
                conn.execute(f"PRAGMA user_version = {step + 1}")


def _require_sense(conn: sqlite3.Connection) -> None:
    """SQLite has no checksums: a flipped bit in a row shows, if at all, as a time that is none."""
    times = "SELECT created_at, updated_at FROM runs"
    times += " UNION ALL SELECT opened_at, coalesce(ended_at, beat_at) FROM sessions"
    times += " UNION ALL SELECT beat_at, beat_at FROM sessions"
    try:
        for pair in conn.execute(times):
            if any(datetime.fromisoformat(text).tzinfo is None for text in pair):
                raise _Corrupt("a time without a zone")
        for table in ("runs", "sessions"):
            conn.execute(f"SELECT * FROM {table}").fetchall()
    except (ValueError, TypeError) as error:
        raise _Corrupt(str(error)) from error
    except sqlite3.OperationalError as error:  # text that is not UTF-8, or a table that is gone
        if getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) == sqlite3.SQLITE_ERROR:
            raise _Corrupt(str(error)) from error
        raise


def _close(conn: sqlite3.Connection, session: int, state: SessionEnd, since: str, at: str) -> None:
    conn.execute(
        "UPDATE sessions SET state = ?, ended_at = ?, beat_at = ?, seconds = ? WHERE id = ?",
        (state, at, at, _held_s(since, at), session),
    )


def _is_alive(pid: int, opened_at: datetime) -> bool:
    """Whether the process that opened a session lives; its number alone may be another's now."""
    import psutil

    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        return bool(process.create_time() <= opened_at.timestamp() + _REUSED_PID_S)
    except psutil.NoSuchProcess:
        return False
    except psutil.Error:
        return True  # unknown is not dead


def _stamp(moment: datetime) -> str:
    """ISO 8601 in UTC with microseconds always, so that text sorts as time does."""
    if moment.tzinfo is None:
        raise ValueError("times are UTC-aware here")
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def _held_s(since: str, until: str) -> float:
    held = datetime.fromisoformat(until) - datetime.fromisoformat(since)
    return max(0.0, held.total_seconds())
