"""The ledger's SQLite file: opened with checks, brought up to date, written in transactions.

Plain `sqlite3`, for every light command opens it: importing sqlite-utils takes 0.1 s, and 0.4 s
where pandas is installed. Its command line reads the file: `sqlite-utils rows ledger.db sessions`.

Every write is one transaction, and on disk before it returns (synchronous FULL). The journal mode
is DELETE, not WAL: one file, so that a broken one can be set aside whole, and nothing here is
written often enough for WAL to matter.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from agnews_cli.errors import CannotWrite
from agnews_cli.store.hours import records

BUSY_S = 10.0
_COPY_S = 10.0
_MOST_VALUE_BYTES = 1 << 20

_RESOURCE = """CASE
    WHEN accelerator LIKE '%tpu%' THEN 'tpu'
    WHEN accelerator LIKE '%gpu%' OR accelerator LIKE '%nvidia%' OR accelerator LIKE '%tesla%'
        OR accelerator LIKE '%T4%' OR accelerator LIKE '%P100%' OR accelerator LIKE '%L4%'
        OR accelerator LIKE '%A100%' THEN 'gpu'
    ELSE 'cpu' END"""

# Applied in order, each in one transaction with its number; never edited once released.
MIGRATIONS: tuple[tuple[str, ...], ...] = (
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
    (
        "DROP INDEX sessions_by_run",
        "ALTER TABLE sessions RENAME TO sessions_before",
        """
        CREATE TABLE sessions (
            id TEXT PRIMARY KEY,
            seq INTEGER NOT NULL,
            run TEXT NOT NULL REFERENCES runs(id),
            platform TEXT NOT NULL,
            accelerator TEXT NOT NULL,
            resource TEXT NOT NULL CHECK (resource IN ('gpu', 'tpu', 'cpu')),
            machine TEXT NOT NULL,
            pid INTEGER NOT NULL,
            entered_s REAL NOT NULL CHECK (entered_s >= 0),
            opened_at TEXT NOT NULL,
            beat_at TEXT NOT NULL,
            seconds REAL NOT NULL CHECK (seconds >= 0),
            state TEXT NOT NULL CHECK (state IN
                ('open', 'finished', 'deadline', 'interrupted', 'error', 'user', 'died')),
            ended_at TEXT,
            closed_seq INTEGER,
            process TEXT NOT NULL DEFAULT '',
            useful_s REAL, redone_s REAL, stalled_s REAL, starting_s REAL, idle_s REAL,
            CHECK ((state = 'open') = (ended_at IS NULL)),
            CHECK ((state = 'open') = (closed_seq IS NULL))
        ) STRICT
        """,
        # Their machine is not known: unless they are closed, only their silence tells.
        f"""
        INSERT INTO sessions
            (id, seq, run, platform, accelerator, resource, machine, pid, entered_s, opened_at,
             beat_at, seconds, state, ended_at, closed_seq)
        SELECT 'v1-' || substr(replace(opened_at, ':', ''), 1, 24) || '-' || pid || '-' || id, 1,
            run, platform, accelerator, {_RESOURCE}, '', pid, 0, opened_at, beat_at, seconds, state,
            ended_at, CASE WHEN state = 'open' THEN NULL ELSE 1 END
        FROM sessions_before
        """,
        "DROP TABLE sessions_before",
        "CREATE INDEX sessions_by_run ON sessions(run)",
        """
        CREATE TABLE used (
            id TEXT PRIMARY KEY,
            platform TEXT NOT NULL,
            resource TEXT NOT NULL CHECK (resource IN ('gpu', 'tpu', 'cpu')),
            began_at TEXT NOT NULL,
            seconds REAL NOT NULL CHECK (seconds >= 0),
            source TEXT NOT NULL
        ) STRICT
        """,
        """
        CREATE TABLE readings (
            id TEXT PRIMARY KEY,
            platform TEXT NOT NULL,
            resource TEXT NOT NULL CHECK (resource IN ('gpu', 'tpu', 'cpu')),
            at TEXT NOT NULL,
            how TEXT NOT NULL CHECK (how IN ('official', 'reported')),
            source TEXT NOT NULL,
            used_s REAL,
            reserved_s REAL NOT NULL,
            allowed_s REAL,
            left_s REAL,
            returns_at TEXT
        ) STRICT
        """,
        # How much of each journal this file has taken in.
        "CREATE TABLE journals (name TEXT PRIMARY KEY, size INTEGER NOT NULL) STRICT",
        "INSERT INTO journals SELECT id || '.jsonl', -1 FROM sessions",  # to be written
        "PRAGMA application_id = 1634168439",  # "agnw"
    ),
)


class Corrupt(sqlite3.DatabaseError):
    """The file's own check found damage."""


def connect(path: Path, *, is_copy: bool = False) -> sqlite3.Connection:
    """The file, checked and brought up to date.

    `is_copy`: it goes to, or came from, a store, and lasts a moment here. What came may be made to
    take for ever or all memory: it may hold nothing but tables, and is given some seconds.

    Raises sqlite3.DatabaseError (see `is_corrupt`), or CannotWrite for a newer agnews's file.
    """
    conn = sqlite3.connect(path, timeout=BUSY_S)
    try:
        if is_copy:
            _bound(conn)
        # By hand, not by Python: one BEGIN IMMEDIATE for each write.
        conn.isolation_level = None
        conn.row_factory = sqlite3.Row
        # A copy from a store may hold views and triggers of anybody's making.
        for pragma in (
            "trusted_schema = OFF",
            "journal_mode = DELETE",
            f"synchronous = {'OFF' if is_copy else 'FULL'}",
            "foreign_keys = ON",
        ):
            conn.execute(f"PRAGMA {pragma}").fetchall()
        # Not quick_check: a byte may differ between a row and its index, and both are read from.
        found = conn.execute("PRAGMA integrity_check(1)").fetchone()[0]
        if found != "ok":
            raise Corrupt(found)
        _migrate(conn, path)
        _require_sense(conn)
    except (
        ValueError,
        TypeError,
        LookupError,
        OverflowError,
    ) as error:  # of a row, or text that is not UTF-8
        conn.close()
        raise Corrupt(str(error)) from error
    except BaseException:
        conn.close()
        raise
    return conn


def _bound(conn: sqlite3.Connection) -> None:
    """Raises Corrupt where there is more than tables and their indexes."""
    until_s = time.monotonic() + _COPY_S
    conn.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _MOST_VALUE_BYTES)
    conn.set_progress_handler(lambda: time.monotonic() > until_s, 100_000)
    found = conn.execute(
        "SELECT name FROM sqlite_schema WHERE type NOT IN ('table', 'index') "
        "OR sql LIKE '%VIRTUAL%' OR sql LIKE '% AS (%'"  # made by code, or computed
    ).fetchone()
    if found:
        raise Corrupt(f"{found[0]!r:.80} is no table of a ledger")


def is_corrupt(error: sqlite3.DatabaseError) -> bool:
    """Whether the file is damaged, rather than locked or not to be written."""
    codes = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
    # Extended codes carry the primary one in the low byte.
    return isinstance(error, Corrupt) or (getattr(error, "sqlite_errorcode", 0) & 0xFF) in codes


@contextmanager
def transaction(conn: sqlite3.Connection) -> Iterator[None]:
    """All of what is written within, or nothing; one writer at a time."""
    conn.execute("BEGIN IMMEDIATE")
    try:
        yield
        conn.execute("COMMIT")
    except BaseException:
        if conn.in_transaction:
            conn.execute("ROLLBACK")
        raise


def _require_sense(conn: sqlite3.Connection) -> None:
    """SQLite has no checksums: a flipped bit shows, if at all, as a row that is none of ours.

    Raises Corrupt, or what `rows.everything` does.
    """
    try:
        records.everything(conn)
        conn.execute("SELECT * FROM journals").fetchall()
        if conn.execute("PRAGMA foreign_key_check").fetchone():
            raise Corrupt("a session of a run that is not there")
    except sqlite3.OperationalError as error:  # text that is not UTF-8, or a table that is gone
        if getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) == sqlite3.SQLITE_ERROR:
            raise Corrupt(str(error)) from error
        raise


def _migrate(conn: sqlite3.Connection, path: Path) -> None:
    def version() -> int:
        return int(conn.execute("PRAGMA user_version").fetchone()[0])

    if version() > len(MIGRATIONS):
        raise CannotWrite(
            path=path,
            reason=f"a newer agnews wrote it (version {version()}; this one knows "
            f"{len(MIGRATIONS)})",
            hint="Upgrade: pip install --upgrade agnews-cli",
        )
    while version() < len(MIGRATIONS):
        with transaction(conn):
            step = version()  # again, now that nobody else can migrate
            if step < len(MIGRATIONS):
                for statement in MIGRATIONS[step]:
                    conn.execute(statement)
                conn.execute(f"PRAGMA user_version = {step + 1}")
