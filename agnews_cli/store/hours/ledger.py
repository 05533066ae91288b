"""The ledger: which runs there are, and how long each session held which accelerator.

The truth is the journals beside it, one append-only file a session; the database is an index of
them that is rebuilt when it is broken or gone. A session's hours count against a quota even when
the machine dies: its first entry is written before anything else, then it beats. A dying process
never records its own death; the next one that opens the ledger does, from the last beat.

Time is given (`now`), never read. An entry is on disk before a call returns: appended to the
journal first, then committed to the database, under one lock; whoever finds a journal longer than
the database knows reads it again.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any

from agnews_cli.core.hours import session as facts
from agnews_cli.core.hours.resource import Resource
from agnews_cli.core.hours.session import (
    JournalEntry,
    QuotaReading,
    Run,
    Session,
    SessionEnd,
    Split,
    Told,
    Used,
)
from agnews_cli.core.run.state import RunState, after, may_follow
from agnews_cli.errors import CannotWrite, NoDiskSpace
from agnews_cli.store.disk import private
from agnews_cli.store.disk.home import home
from agnews_cli.store.disk.processes import boot_id, pid_namespace, start_ticks
from agnews_cli.store.hours import database, journal, records

# A process that started this long after the session was opened only inherited its number; less
# may be a clock that was set.
_REUSED_PID_S = 60.0
_MOST_EVENTS_BYTES = 64 << 20


class Ledger:
    """The open ledger. Use as a context manager; `notes` says what was mended on opening.

    For one thread: another one that beats opens its own.

    Raises CannotWrite where the folder cannot be written, another process holds the file for
    too long, or a newer agnews wrote it.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or home() / "ledger.db"
        self.journals = self.path.parent / "journals"
        self.machine = machine()
        self.notes: tuple[str, ...] = ()
        self._db: sqlite3.Connection | None = None

    def __enter__(self) -> Ledger:
        with self._refusals():
            private.make_folder(self.path.parent)
            private.make_file(self.path)
            try:
                self._db = database.connect(self.path)
            except sqlite3.DatabaseError as error:
                if not database.is_corrupt(error):
                    raise
                self._db = self._begun_anew()
            try:
                self._catch_up()
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
            self._db.close()
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
        state: RunState = RunState.PENDING,
    ) -> None:
        """Add the run; of one that is known, only where it lies and its state change."""
        with self._writing() as conn:
            known = self._run(run)
            if known is None:
                known = Run(run, preset, dataset, seed, state, folder, now, now)
            else:
                moment = _later(now, known)
                known = replace(known, state=state, folder=folder, updated_at=moment)
            records.put_run(conn, known)

    def set_state(self, run: str, state: RunState, now: datetime) -> None:
        """What cannot follow, such as a stop where another machine completed it, changes nothing.

        Raises KeyError for a run that was never recorded.
        """
        with self._writing() as conn:
            known = self._run(run)
            if known is None:
                raise KeyError(run)
            if not may_follow(known.state, RunState(state)):
                return
            known = replace(known, state=state, updated_at=_later(now, known))
            records.put_run(conn, known)
            mine = [s for s in self.sessions(run) if s.machine == self.machine]
            if mine:
                self._tell(conn, mine[-1], "run", known.updated_at, {"state": state})

    def runs(self) -> tuple[Run, ...]:
        """All runs, the newest first."""
        found = self._rows("SELECT * FROM runs ORDER BY created_at DESC, id")
        return tuple(Run(**records.timed(row)) for row in found)

    # ---- sessions -------------------------------------------------------------------------------

    def open_session(
        self,
        run: str,
        *,
        platform: str,
        accelerator: str,
        now: datetime,
        resource: Resource = "cpu",
        entered_s: float = 0.0,
        pid: int | None = None,
    ) -> str:
        """Begin to count; the session's id. `pid` is the process that will beat, or ours.

        `entered_s`: how old the machine's own session is. Raises KeyError for a run that was never
        recorded.
        """
        with self._writing() as conn:
            known = self._run(run)
            if known is None:
                raise KeyError(run)
            session = Session(
                id=f"{now.astimezone(UTC):%Y%m%dT%H%M%S}-{os.urandom(6).hex()}",
                seq=0,
                run=run,
                platform=platform,
                accelerator=accelerator,
                resource=resource,
                machine=self.machine,
                pid=pid or os.getpid(),
                process=start_ticks(pid or os.getpid()) or "",
                entered_s=entered_s,
                opened_at=records.utc(now),
                beat_at=records.utc(now),
                seconds=0.0,
            )
            records.put_session(conn, session)
            self._tell(conn, session, "opened", now, facts.whole(known, session))
            return session.id

    def beat(self, session: str, now: datetime, held_s: float | None = None) -> None:
        """Still alive, `held_s` after the opening by a clock that nobody sets.

        Without it the wall clock is believed. Nothing happens to a session that has ended; a clock
        set back takes nothing away.
        """
        with self._writing() as conn:
            known = self._current(conn, session)
            if known is not None and known.state == "open":
                held = facts.held(known, _held_s(known, now, held_s), records.utc(now))
                if held != known:
                    records.put_session(conn, held)
                    self._tell(conn, held, "beat", now, {"seconds": held.seconds})

    def close_session(
        self, session: str, state: SessionEnd, now: datetime, held_s: float | None = None
    ) -> None:
        """Stop counting. Closing twice changes nothing: the first reason stands."""
        with self._writing() as conn:
            known = self._current(conn, session)
            if known is not None and known.state == "open":
                seconds = max(known.seconds, _held_s(known, now, held_s))
                self._close(conn, known, state, seconds, max(records.utc(now), known.beat_at))

    def close_in_journal(
        self, session: str, state: SessionEnd, run_state: RunState, now: datetime, held_s: float
    ) -> None:
        """Close a session where the database does not answer: in its journal alone.

        Whoever opens the ledger next takes it in. For the session's own process, since nobody else
        adds to its journal while that lives. Raises CannotWrite or NoDiskSpace.
        """
        path = self._journal(session)
        told = facts.fold(e for e in journal.read(path).entries if e.stream == session)
        if told is None:
            raise CannotWrite(path=path, reason="it does not tell of this session")
        run, known = told
        if known.state != "open":
            return
        seconds, at = max(known.seconds, held_s), max(records.utc(now), known.beat_at)
        split = _split(run, known, seconds)
        data = {"state": state, "seconds": seconds, "split": split and asdict(split)}
        journal.append(path, JournalEntry(session, known.seq + 1, "closed", at, data))
        moment = _later(now, run)
        journal.append(
            path, JournalEntry(session, known.seq + 2, "run", moment, {"state": run_state})
        )

    def require_free(self) -> None:
        """Raises CannotWrite while another process holds the file."""
        with self._writing():
            pass

    @contextmanager
    def patience(self, seconds: float) -> Iterator[None]:
        """Within, another process that holds the file is waited for no longer than that."""
        self._conn().execute(f"PRAGMA busy_timeout = {round(1000 * seconds)}")
        try:
            yield
        finally:
            self._conn().execute(f"PRAGMA busy_timeout = {round(1000 * database.BUSY_S)}")

    def sessions(self, run: str | None = None) -> tuple[Session, ...]:
        """Sessions of one run, or all, the oldest first."""
        # Those of another machine came with the store, where runs have no names.
        where, values = ("WHERE run IN (?, ?)", [run, facts.hidden(run)]) if run else ("", [])
        found = self._rows(f"SELECT * FROM sessions {where} ORDER BY opened_at, id", values)
        return tuple(map(records.session, found))

    # ---- what agnews did not see itself ---------------------------------------------------------

    def record(self, fact: Used | QuotaReading) -> None:
        """Keep hours used elsewhere, or what somebody said of a quota. Known ids change nothing."""
        with self._writing() as conn:
            if records.put_fact(conn, fact):
                self._append(conn, records.entry(fact))

    def used(self) -> tuple[Used, ...]:
        found = self._rows("SELECT * FROM used ORDER BY began_at, id")
        return tuple(Used(**records.timed(row)) for row in found)

    def readings(self) -> tuple[QuotaReading, ...]:
        """The oldest first."""
        found = self._rows("SELECT * FROM readings ORDER BY at, id")
        return tuple(QuotaReading(**records.timed(row)) for row in found)

    # ---- other copies ---------------------------------------------------------------------------

    def join(self, told: Iterable[Told], more: Iterable[Used | QuotaReading] = ()) -> int:
        """Take in what another copy of a ledger knows; the number of facts that were new.

        In any order and any number of times, the result is the same.
        """
        new = 0
        with self._writing() as conn:
            names = {
                facts.hidden(row["id"]): row["id"] for row in self._rows("SELECT id FROM runs")
            }
            for run, session in told:
                # A copy names no run; those that are known here keep their names.
                run = replace(run, id=names.get(run.id, run.id))
                session = replace(session, run=run.id)
                here = self._run(run.id)
                if session == self._session(session.id) and here and here.join(run) == here:
                    continue  # as with nearly all of it
                known = self._current(conn, session.id)
                after = session if known is None else known.join(session)
                records.put_run(conn, run, joined=True)
                if after == known:
                    continue
                new += 1
                records.put_session(conn, after)
                self._copy(conn, run, after)
        for fact in more:
            before = self._conn().total_changes
            self.record(fact)
            new += self._conn().total_changes > before
        return new

    def write_hidden_to(self, path: Path) -> None:
        """Write all hours, and no name or folder of a run, to a database that is not there yet."""
        with self._refusals():
            conn = database.connect(path, is_copy=True)
            conn.set_progress_handler(None, 0)  # its time is for what strangers wrote
            try:
                with database.transaction(conn):
                    records.put_everything(conn, records.everything(self._conn()).hidden)
            finally:
                conn.close()

    # ---- opening --------------------------------------------------------------------------------

    def _begun_anew(self) -> sqlite3.Connection:
        """Set the broken file aside; under a lock, since another process may be doing the same."""
        with private.appending(self.path.with_name(self.path.name + ".lock")) as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            try:
                return database.connect(self.path)  # the other one has mended it
            except sqlite3.DatabaseError as error:
                if not database.is_corrupt(error):
                    raise
            number = 1
            while (aside := self.path.with_name(f"{self.path.name}.broken-{number}")).exists():
                number += 1
            hot = self.path.with_name(self.path.name + "-journal")
            self.path.rename(aside)
            if hot.exists():  # it belongs to the broken file and would be played into the new
                hot.rename(aside.with_name(aside.name + "-journal"))
            self.notes += (
                f"The ledger {self.path} was damaged: it is set aside as {aside.name} and rebuilt "
                f"from the journals in {self.journals}. Runs are untouched.",
            )
            return database.connect(self.path)

    def _catch_up(self) -> None:
        """Take in what the journals say and the database does not; write what they lack."""
        try:
            found = {p.name: p.stat().st_size for p in self.journals.iterdir() if _is_journal(p)}
        except FileNotFoundError:
            found = {}
        known = dict(self._conn().execute("SELECT name, size FROM journals").fetchall())
        if found == known:
            return
        with self._writing() as conn:
            for name in sorted(found):
                if found[name] != known.get(name):
                    self._read(conn, name)
            conn.executemany(
                "DELETE FROM journals WHERE name = ?", [(n,) for n in known if n not in found]
            )
            for session in self.sessions():
                if not self._journal(session.id).exists():
                    run = self._run(session.run)
                    assert run is not None  # the foreign key sees to it
                    self._copy(conn, run, session)
            told: tuple[Used | QuotaReading, ...] = (*self.used(), *self.readings())
            for fact in told:
                if not self._journal(fact.id).exists():
                    self._append(conn, records.entry(fact))

    def _read(self, conn: sqlite3.Connection, name: str) -> None:
        told = journal.read(self.journals / name)
        if told.damaged:
            self.notes += (
                f"{told.damaged} line(s) of {self.journals / name} are damaged and left out.",
            )
        for stream in {entry.stream for entry in told.entries}:
            entries = [entry for entry in told.entries if entry.stream == stream]
            try:
                found = facts.fold(entries)
                if found is not None:
                    records.put_run(conn, found[0], joined=True)
                    known = self._session(stream)
                    records.put_session(conn, found[1] if known is None else known.join(found[1]))
                for entry in entries:
                    if entry.kind in ("used", "reading"):
                        records.put_fact(conn, records.fact(entry))
            except (LookupError, TypeError, ValueError, AttributeError, sqlite3.IntegrityError):
                self.notes += (f"{self.journals / name} does not tell of a session: left out.",)
        records.put_size(conn, name, (self.journals / name).stat().st_size)

    def _close_dead_sessions(self) -> None:
        """Close from their last beat this machine's sessions whose process is gone.

        What another machine's session does is not known here: its silence alone ends it.
        """
        here = "SELECT * FROM sessions WHERE state = 'open' AND machine = ?"
        if not self._rows(here, [self.machine]):
            return
        with self._writing() as conn:
            for session in map(records.session, self._rows(here, [self.machine])):
                if _is_alive(session):
                    continue
                self._close(conn, session, "died", session.seconds, session.beat_at)
                run = self._run(session.run)
                others = [s for s in self.sessions(session.run) if s.state == "open"]
                if run is not None and run.state == RunState.RUNNING and not others:
                    died = after(run.state, RunState.INTERRUPTED)
                    moment = max(session.beat_at, run.updated_at)
                    records.put_run(conn, replace(run, state=died, updated_at=moment))
                    mine = self._session(session.id)
                    assert mine is not None  # just closed
                    self._tell(conn, mine, "run", moment, {"state": died})
                self.notes += (
                    f"A session of run {session.run} had died; it is closed at its last sign of "
                    f"life, {session.beat_at.isoformat(timespec='seconds')}.",
                )

    # ---- writing --------------------------------------------------------------------------------

    def _close(
        self,
        conn: sqlite3.Connection,
        session: Session,
        state: SessionEnd,
        seconds: float,
        at: datetime,
    ) -> None:
        run = self._run(session.run)
        assert run is not None  # the foreign key sees to it
        split = _split(run, session, seconds)
        data = {
            "state": state,
            "seconds": seconds,
            "split": None if split is None else asdict(split),
        }
        entry = JournalEntry(session.id, session.seq + 1, "closed", at, data)
        closed = facts.closed(session, entry)
        records.put_session(conn, closed)
        self._tell(conn, closed, "closed", at, data)

    def _tell(
        self,
        conn: sqlite3.Connection,
        session: Session,
        kind: str,
        at: datetime,
        data: Mapping[str, Any],
    ) -> None:
        """Append the session's next entry, and number the row after it."""
        entry = JournalEntry(session.id, session.seq + 1, kind, records.utc(at), data)
        conn.execute("UPDATE sessions SET seq = ? WHERE id = ?", (entry.seq, session.id))
        self._append(conn, entry)

    def _copy(self, conn: sqlite3.Connection, run: Run, session: Session) -> None:
        """Write all that is known of a session to its journal here."""
        data = facts.whole(run, session)
        self._append(conn, JournalEntry(session.id, session.seq, "whole", session.beat_at, data))

    def _append(self, conn: sqlite3.Connection, entry: JournalEntry) -> None:
        path = self._journal(entry.stream)
        records.put_size(conn, path.name, journal.append(path, entry))

    def _current(self, conn: sqlite3.Connection, session: str) -> Session | None:
        """The session's row, after its journal was read again where it says more."""
        path = self._journal(session)
        row = conn.execute("SELECT size FROM journals WHERE name = ?", (path.name,)).fetchone()
        if row is not None and path.exists() and path.stat().st_size != row[0]:
            self._read(conn, path.name)  # a write that failed after its entry was on disk
        return self._session(session)

    def _journal(self, stream: str) -> Path:
        return self.journals / f"{stream}{journal.SUFFIX}"

    # ---- SQL ------------------------------------------------------------------------------------

    def _conn(self) -> sqlite3.Connection:
        if self._db is None:
            raise RuntimeError("the ledger is not open: use `with Ledger() as ledger`")
        return self._db

    def _rows(self, sql: str, values: Sequence[Any] = ()) -> list[dict[str, Any]]:
        with self._refusals():
            return [dict(row) for row in self._conn().execute(sql, values)]

    def _run(self, run: str) -> Run | None:
        found = self._rows("SELECT * FROM runs WHERE id = ?", [run])
        return Run(**records.timed(found[0])) if found else None

    def _session(self, session: str) -> Session | None:
        found = self._rows("SELECT * FROM sessions WHERE id = ?", [session])
        return records.session(found[0]) if found else None

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        conn = self._conn()
        with self._refusals(), database.transaction(conn):
            yield conn

    @contextmanager
    def _refusals(self) -> Iterator[None]:
        """What the disk refuses becomes CannotWrite; a broken rule of ours (Integrity) does not."""
        hint = "Name another folder for it: AGNEWS_HOME=DIR"
        try:
            yield
        except (sqlite3.IntegrityError, CannotWrite, NoDiskSpace):
            raise
        except (sqlite3.DatabaseError, OSError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise CannotWrite(path=self.path, reason=reason, hint=hint) from error


def _split(run: Run, session: Session, seconds: float) -> Split | None:
    """Where the session's time went; None where its run's events are not here."""
    from agnews_cli.core.hours.accounting import account
    from agnews_cli.store.disk import files
    from agnews_cli.store.run.events import Events
    from agnews_cli.store.run.runs import RunFolder

    path = RunFolder(Path(run.folder)).events
    try:
        with files.plain(path):  # else nothing is known, which is not the same as no events
            pass
        return account(Events(path, _MOST_EVENTS_BYTES), session.opened_at, seconds)
    except (OSError, ValueError):
        return None


def machine() -> str:
    """This machine since its last start, and the PID namespace in it: the place of process numbers.

    Of containers with one host name, each is a machine.
    """
    namespace = pid_namespace()
    inside = f"-{namespace[5:-1]}" if namespace else ""
    return f"{os.uname().nodename}-{boot_id()[:8]}{inside}"


def _is_journal(path: Path) -> bool:
    return path.suffix == journal.SUFFIX and path.is_file()


def _is_alive(session: Session) -> bool:
    """Whether the process that opened it lives; its number alone may be another's now."""
    if session.process:
        return start_ticks(session.pid) == session.process
    import psutil

    try:
        process = psutil.Process(session.pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        return bool(process.create_time() <= session.opened_at.timestamp() + _REUSED_PID_S)
    except psutil.NoSuchProcess:
        return False
    except psutil.Error:
        return True  # unknown is not dead


def _later(now: datetime, known: Run) -> datetime:
    """`now`, or just after the last change where the clock was set back: the order must hold."""
    return max(records.utc(now), known.updated_at + timedelta(microseconds=1))


def _held_s(session: Session, now: datetime, held_s: float | None) -> float:
    if held_s is not None:
        return max(0.0, held_s)
    return max(0.0, (records.utc(now) - session.opened_at).total_seconds())
