"""The ledger: hours count even when the machine dies, and a broken file costs no run."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from agnews_cli.core.hours.session import QuotaReading, Split, Used
from agnews_cli.core.run.state import RunState
from agnews_cli.errors import CannotWrite
from agnews_cli.store.hours import database
from agnews_cli.store.hours import ledger as ledger_module
from agnews_cli.store.hours.ledger import Ledger

NOW = datetime.now(UTC).replace(microsecond=0)


def after(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "new" / "ledger.db"


def record(ledger: Ledger, run: str = "r-1", now: datetime = NOW) -> str:
    ledger.record_run(run, preset="minilm", dataset="ag_news", seed=1, folder="/runs/r", now=now)
    return run


def open_session(ledger: Ledger, pid: int | None = None, run: str = "r-1") -> str:
    return ledger.open_session(run, platform="kaggle", accelerator="2 × T4", now=NOW, pid=pid)


def dead_pid() -> int:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    return child.pid


def test_runs_survive_and_are_newest_first(path: Path) -> None:
    with Ledger(path) as ledger:
        record(ledger, "old")
        record(ledger, "new", after(5))
        ledger.set_state("old", "running", after(9))
        assert ledger.notes == ()
    with Ledger(path) as ledger:
        new, old = ledger.runs()
        assert (new.id, new.state, new.created_at, new.seed) == ("new", "pending", after(5), 1)
        assert (old.id, old.state, old.updated_at) == ("old", "running", after(9))
        assert old.created_at == NOW
        assert (old.preset, old.dataset, old.folder) == ("minilm", "ag_news", "/runs/r")


def test_recording_again_keeps_the_time_of_creation(path: Path) -> None:
    with Ledger(path) as ledger:
        record(ledger)
        ledger.record_run(
            "r-1",
            preset="x",
            dataset="x",
            seed=2,
            folder="/moved",
            now=after(3),
            state="paused",
        )
        (run,) = ledger.runs()
        assert (run.folder, run.state, run.created_at, run.updated_at) == (
            "/moved",
            "paused",
            NOW,
            after(3),
        )
        assert (run.preset, run.seed) == ("minilm", 1)


def test_a_session_counts_to_its_end(path: Path) -> None:
    with Ledger(path) as ledger:
        record(ledger)
        number = open_session(ledger)
        ledger.beat(number, after(60))
        (session,) = ledger.sessions("r-1")
        assert (session.seconds, session.state, session.ended_at) == (60, "open", None)
        assert session.pid == os.getpid()
        ledger.close_session(number, "deadline", after(90))
        ledger.close_session(number, "error", after(900))  # the first reason stands
        ledger.beat(number, after(901))
        (session,) = ledger.sessions()
        assert (session.seconds, session.state) == (90, "deadline")
        assert session.ended_at == session.beat_at == after(90)
        assert ledger.sessions("other") == ()


def test_a_clock_set_back_takes_no_time_away(path: Path) -> None:
    with Ledger(path) as ledger:
        record(ledger)
        number = open_session(ledger)
        ledger.beat(number, after(60))
        ledger.beat(number, after(-500))
        ledger.close_session(number, "finished", after(-500))
        assert ledger.sessions()[0].seconds == 60


def test_the_next_open_closes_a_dead_session_at_its_last_beat(path: Path) -> None:
    with Ledger(path) as ledger:
        record(ledger)
        ledger.set_state("r-1", "running", NOW)
        dead, alive = open_session(ledger, dead_pid()), open_session(ledger)
        ledger.beat(dead, after(120))
    with Ledger(path) as ledger:
        by_id = {session.id: session for session in ledger.sessions()}
        assert (by_id[dead].state, by_id[dead].seconds) == ("died", 120)
        assert by_id[dead].ended_at == after(120)
        assert by_id[alive].state == "open"
        assert ledger.runs()[0].state == "running"  # the other session still holds it
        assert len(ledger.notes) == 1
        assert "r-1" in ledger.notes[0]
        ledger.close_session(alive, "finished", after(130))
    with Ledger(path) as ledger:
        assert ledger.notes == ()


@pytest.mark.parametrize(
    ("state", "expected"), [("running", "interrupted"), ("completed", "completed")]
)
def test_a_run_whose_only_session_died(path: Path, state: str, expected: str) -> None:
    with Ledger(path) as ledger:
        record(ledger)
        ledger.set_state("r-1", RunState.RUNNING, NOW)
        ledger.set_state("r-1", state, NOW)  # type: ignore[arg-type]
        open_session(ledger, dead_pid())
    with Ledger(path) as ledger:
        assert ledger.runs()[0].state == expected


def test_another_process_with_the_same_number_is_not_the_session(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Ledger(path) as ledger:
        record(ledger)
        open_session(ledger)
    monkeypatch.setattr(ledger_module, "start_ticks", lambda pid: "1")
    with Ledger(path) as ledger:
        assert ledger.sessions()[0].state == "died"


def test_a_container_of_the_same_name_is_another_machine(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Ledger(path) as ledger:
        record(ledger)
        ledger.set_state("r-1", "running", NOW)
        dead = open_session(ledger, dead_pid())
    monkeypatch.setattr(ledger_module, "pid_namespace", lambda: "pid:[7]")
    with Ledger(path) as ledger:
        assert ledger.machine.endswith("-7")
        assert (ledger.sessions()[0].state, ledger.notes) == ("open", ())
        assert ledger.runs()[0].state == "running"
    monkeypatch.undo()
    with Ledger(path) as ledger:
        assert [(s.id, s.state) for s in ledger.sessions()] == [(dead, "died")]


@pytest.mark.parametrize("days", [-400, 400])
def test_a_clock_that_was_set_kills_no_session(path: Path, days: int) -> None:
    wrong = NOW + timedelta(days=days)
    with Ledger(path) as ledger:
        record(ledger, now=wrong)
        session = ledger.open_session("r-1", platform="p", accelerator="a", now=wrong)
    with Ledger(path) as ledger:
        assert ledger.sessions()[0].state == "open"
        ledger.close_session(session, "finished", NOW, held_s=9.0)
        assert ledger.sessions()[0].seconds == 9


def test_a_zombie_is_dead(path: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", ""], stdout=subprocess.PIPE)
    assert child.stdout is not None
    child.stdout.read()  # it has ended, and nobody has waited for it
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    with Ledger(path) as ledger:
        record(ledger)
        open_session(ledger, child.pid)
    with Ledger(path) as ledger:
        assert ledger.sessions()[0].state == "died"
    child.stdout.close()
    child.wait()


def test_unknown_runs_are_refused(path: Path) -> None:
    with Ledger(path) as ledger:
        with pytest.raises(KeyError):
            open_session(ledger)
        with pytest.raises(KeyError):
            ledger.set_state("r-1", "failed", NOW)
        assert ledger.sessions() == ()


def test_the_file_itself_keeps_the_rules(path: Path) -> None:
    with Ledger(path) as ledger:
        record(ledger)
        with pytest.raises(ValueError, match="'happy' is not a valid RunState"):
            ledger.set_state("r-1", "happy", NOW)  # type: ignore[arg-type]
        with pytest.raises(sqlite3.IntegrityError):
            ledger._conn().execute("UPDATE runs SET state = 'happy'")
        with pytest.raises(ValueError, match="no number"):
            ledger.record_run(
                "r-2",
                preset="p",
                dataset="d",
                seed="one",  # type: ignore[arg-type]
                folder="f",
                now=NOW,
            )
        assert [run.state for run in ledger.runs()] == ["pending"]
        conn = ledger._conn()
        with pytest.raises(sqlite3.IntegrityError):
            conn.execute("DELETE FROM runs") if open_session(ledger) else None
        pragmas = {
            name: conn.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("journal_mode", "synchronous", "foreign_keys", "user_version")
        }
        assert pragmas == {
            "journal_mode": "delete",
            "synchronous": 2,
            "foreign_keys": 1,
            "user_version": len(database.MIGRATIONS),
        }
        assert conn.execute("PRAGMA busy_timeout").fetchone()[0] >= 5000
        strict = conn.execute("PRAGMA table_list").fetchall()
        assert {row[1] for row in strict if row[5]} == {
            "runs",
            "sessions",
            "used",
            "readings",
            "journals",
        }


def test_times_are_aware_and_kept_in_utc(path: Path) -> None:
    with Ledger(path) as ledger:
        with pytest.raises(ValueError, match="UTC"):
            record(ledger, now=datetime(2026, 1, 1))  # noqa: DTZ001
        east = datetime(2026, 1, 1, 3, tzinfo=timezone(timedelta(hours=3)))
        record(ledger, now=east)
        assert ledger.runs()[0].created_at == east
        assert ledger.runs()[0].created_at.utcoffset() == timedelta(0)


# ---- damage -------------------------------------------------------------------------------------


def damage_whole(path: Path) -> None:
    path.write_bytes(b"this is no database" * 100)


def damage_inside(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[4096 + 8 : 4096 * 3] = b"\xff" * (4096 * 2 - 8)
    path.write_bytes(content)


def damage_only_index_or_row(path: Path) -> None:
    with closing(sqlite3.connect(path)) as conn:
        (session,) = conn.execute("SELECT id FROM sessions").fetchone()
    flipped = session.replace("T", "U")
    path.write_bytes(path.read_bytes().replace(session.encode(), flipped.encode(), 1))


def damage_schema(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"accelerator TEXT", b"accelerator TEX\xd4"))


def flip_in(column: str, table: str, byte: str) -> Callable[[Path], None]:
    """Another byte in a row, as a flipped bit leaves it: nothing that SQLite itself would see."""

    def damage(path: Path) -> None:
        changed = f"substr({column}, 1, 3) || '{byte}' || substr({column}, 5)"
        with closing(sqlite3.connect(path)) as conn, conn:
            conn.execute(f"UPDATE {table} SET {column} = {changed}")

    damage.__name__ = f"{table}_{column}"
    return damage


@pytest.mark.parametrize("damage", [damage_whole, damage_inside])
def test_a_broken_file_is_set_aside_and_said(path: Path, damage: object) -> None:
    for number in (1, 2):
        with Ledger(path) as ledger:
            record(ledger)
        damage(path)  # type: ignore[operator]
        broken = path.read_bytes()
        with Ledger(path) as ledger:
            assert ledger.runs() == ()  # it had no session: the store has it
            assert len(ledger.notes) == 1
            assert f"ledger.db.broken-{number}" in ledger.notes[0]
            record(ledger)
        assert path.with_name(f"ledger.db.broken-{number}").read_bytes() == broken
        with Ledger(path) as ledger:
            assert ledger.notes == ()
            assert len(ledger.runs()) == 1


@pytest.mark.parametrize(
    "damage",
    [
        damage_whole,
        damage_inside,
        damage_only_index_or_row,
        damage_schema,
        Path.unlink,
        flip_in("id", "sessions", "\x11"),
        flip_in("run", "sessions", "0"),
        flip_in("beat_at", "sessions", "x"),
        flip_in("returns_at", "readings", "x"),
    ],
)
def test_the_journals_rebuild_what_was_broken(path: Path, damage: object) -> None:
    with Ledger(path) as ledger:
        record(ledger)
        first, second = open_session(ledger), open_session(ledger)
        ledger.beat(first, after(60), held_s=60.0)
        ledger.set_state("r-1", "paused", after(70))
        ledger.close_session(second, "deadline", after(90))
        ledger.record(Used("u-1", "kaggle", "gpu", NOW, 3600.0, "by hand"))
        reading = QuotaReading("a-1", "kaggle", "gpu", NOW, "official", "Kaggle", used_s=5.0)
        ledger.record(replace(reading, returns_at=after(60)))
        before = everything(ledger)
    damage(path)  # type: ignore[operator]
    with Ledger(path) as ledger:
        assert everything(ledger) == before
        ledger.beat(first, after(75))  # and it goes on
    with Ledger(path) as ledger:
        assert ledger.notes == ()
        assert [s.seconds for s in ledger.sessions()] in ([75, 90], [90, 75])


def everything(ledger: Ledger) -> object:
    return ledger.runs(), ledger.sessions(), ledger.used(), ledger.readings()


def test_lost_journals_are_written_again(path: Path) -> None:
    with Ledger(path) as ledger:
        record(ledger)
        session = open_session(ledger)
        ledger.beat(session, after(60))
        ledger.record(Used("u-1", "kaggle", "gpu", NOW, 3600.0, "by hand"))
        before = everything(ledger)
    shutil.rmtree(path.parent / "journals")
    with Ledger(path):
        pass
    path.unlink()
    with Ledger(path) as ledger:
        assert everything(ledger) == before
        ledger.close_session(session, "finished", after(80))
    path.unlink()
    with Ledger(path) as ledger:
        assert (ledger.sessions()[0].state, ledger.sessions()[0].seconds) == ("finished", 80)


def test_damaged_lines_are_left_out_and_counted(path: Path) -> None:
    with Ledger(path) as ledger:
        record(ledger)
        session = open_session(ledger)
        for number in range(1, 5):
            ledger.beat(session, after(15 * number))
    journal = path.parent / "journals" / f"{session}.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(
        b"".join([*lines[:2], lines[2].replace(b"beat", b"beaT"), *lines[3:], b"{"])
    )
    path.unlink()
    with Ledger(path) as ledger:
        assert ledger.sessions()[0].seconds == 60
        assert ledger.notes == (f"2 line(s) of {journal} are damaged and left out.",)


def test_a_clock_that_jumps_costs_no_hours(path: Path) -> None:
    with Ledger(path) as ledger:
        record(ledger)
        session = open_session(ledger)
        ledger.beat(session, after(86400 * 2), held_s=15.0)  # set forward by two days
        ledger.beat(session, after(-500), held_s=30.0)  # and back
        ledger.beat(session, after(-500), held_s=20.0)
        assert ledger.sessions()[0].seconds == 30
        ledger.close_session(session, "finished", after(0), held_s=45.0)
        assert ledger.sessions()[0].seconds == 45
        assert ledger.sessions()[0].end_at == after(45)


def test_where_the_time_went_is_kept_at_the_close(path: Path, tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "r-1"
    folder.mkdir(parents=True)

    def event(kind: str, at_s: float, **data: object) -> str:
        facts = {"kind": kind, "at": after(at_s).isoformat(), "elapsed_s": at_s, "data": data}
        return json.dumps(facts) + "\n"

    events = event("started", 1) + event("phase", 11, name="fine-tuning")
    (folder / "events.jsonl").write_text(events + event("progress", 50, candidate="m", step=5))
    with Ledger(path) as ledger:
        for run in ("r-1", "r-2"):
            ledger.record_run(
                run, preset="p", dataset="d", seed=1, folder=str(folder.parent / run), now=NOW
            )
        closed, dead = open_session(ledger), open_session(ledger, dead_pid())
        ledger.beat(dead, after(60))
        ledger.close_session(closed, "user", after(61))
        elsewhere = open_session(ledger, run="r-2")
        ledger.close_session(elsewhere, "user", after(61))
    path.unlink()
    with Ledger(path) as ledger:
        splits = {session.id: session.split for session in ledger.sessions()}
    assert splits[closed] == Split(useful_s=50.0, starting_s=11.0)
    assert splits[dead] == Split(useful_s=49.0, starting_s=11.0)
    assert splits[elsewhere] is None  # its run's events are not here


def test_another_machines_session_is_not_ours_to_close(path: Path) -> None:
    with Ledger(path) as ledger:
        ledger.machine = "other"
        record(ledger)
        open_session(ledger, dead_pid())
    with Ledger(path) as ledger:
        (session,) = ledger.sessions()
        assert session.state == "open"
        assert not session.is_over(after(500))
        assert session.is_over(after(700))  # it fell silent


def test_an_old_ledger_is_taken_over(path: Path) -> None:
    path.parent.mkdir(parents=True)
    old = sqlite3.connect(path)
    for statement in database.MIGRATIONS[0]:
        old.execute(statement)
    old.execute("PRAGMA user_version = 1")
    stamp = "2026-11-20T08:00:00.000000+00:00"
    old.execute("INSERT INTO runs VALUES ('r-1', 'p', 'd', 1, 'running', 'f', ?, ?)", (stamp,) * 2)
    for number, (accelerator, state, ended) in enumerate(
        [("Tesla T4", "finished", stamp), ("Intel Xeon", "open", None)], 1
    ):
        old.execute(
            "INSERT INTO sessions VALUES (?, 'r-1', 'kaggle', ?, 7, ?, ?, ?, ?, 90)",
            (number, accelerator, stamp, stamp, ended, state),
        )
    old.commit()
    old.close()
    with Ledger(path) as ledger:
        found = ledger.sessions()
        assert [(s.resource, s.state, s.seconds) for s in found] == [
            ("gpu", "finished", 90),
            ("cpu", "open", 90),
        ]
        assert all(s.is_over(NOW) for s in found)
    path.unlink()
    with Ledger(path) as ledger:  # they have journals now
        assert ledger.sessions() == found


def test_a_newer_file_is_left_alone(path: Path) -> None:
    with Ledger(path) as ledger:
        ledger._conn().execute("PRAGMA user_version = 99")
    before = path.read_bytes()
    with pytest.raises(CannotWrite, match="newer agnews"), Ledger(path):
        pass
    assert path.read_bytes() == before


def test_a_migration_that_fails_leaves_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Ledger(path) as ledger:
        record(ledger)
    more = (("ALTER TABLE runs ADD COLUMN extra TEXT", "SELECT * FROM nowhere"),)
    monkeypatch.setattr(database, "MIGRATIONS", database.MIGRATIONS + more)
    with pytest.raises(CannotWrite, match="nowhere"), Ledger(path):
        pass
    monkeypatch.undo()
    with Ledger(path) as ledger:
        assert len(ledger.runs()) == 1  # RunRow would refuse the half-added column


def test_a_home_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("")
    with pytest.raises(CannotWrite) as caught, Ledger(tmp_path / "home" / "ledger.db"):
        pass
    assert "AGNEWS_HOME" in caught.value.advice


def test_a_locked_file_is_not_taken_for_a_broken_one(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "BUSY_S", 0.1)
    with Ledger(path) as ledger:
        ledger._conn().execute("BEGIN EXCLUSIVE")
        with pytest.raises(CannotWrite, match="locked"), Ledger(path):
            pass
        ledger._conn().execute("ROLLBACK")
    assert sorted(p.name for p in path.parent.iterdir()) == ["ledger.db"]


def _write_many(path: Path, name: str) -> None:
    for i in range(5):
        with Ledger(path) as ledger:
            record(ledger, f"{name}-{i}")


@pytest.mark.parametrize("broken", [False, True])
def test_processes_at_once_lose_nothing(path: Path, broken: bool) -> None:
    if broken:
        path.parent.mkdir(parents=True)
        damage_whole(path)
    spawn = multiprocessing.get_context("fork")
    workers = [spawn.Process(target=_write_many, args=(path, f"w{i}")) for i in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0
    with Ledger(path) as ledger:
        assert len(ledger.runs()) == 15
    asides = [p for p in path.parent.iterdir() if "broken" in p.name]
    assert len(asides) == int(broken)


def test_killed_while_writing_keeps_what_was_written(path: Path) -> None:
    code = (
        "import os, sys; from datetime import datetime, UTC; from pathlib import Path\n"
        "from agnews_cli.store.hours.ledger import Ledger\n"
        "with Ledger(Path(sys.argv[1])) as ledger:\n"
        "    ledger.record_run('r', preset='p', dataset='d', seed=1, folder='f',"
        " now=datetime.now(UTC), state='running')\n"
        "    ledger.open_session('r', platform='p', accelerator='a', now=datetime.now(UTC))\n"
        "    ledger._conn().execute('BEGIN IMMEDIATE')\n"
        "    ledger._conn().execute('DELETE FROM sessions')\n"
        "    os.kill(os.getpid(), 9)\n"
    )
    root = Path(__file__).parents[2]
    ended = subprocess.run([sys.executable, "-c", code, str(path)], cwd=root, check=False)
    assert ended.returncode == -9
    with Ledger(path) as ledger:
        assert [session.state for session in ledger.sessions()] == ["died"]
        assert ledger.runs()[0].state == "interrupted"


KILLED = """
import os, sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from agnews_cli.store.disk import files
from agnews_cli.store.hours.ledger import Ledger

path, left = Path(sys.argv[1]), int(sys.argv[2])

def kill(operation, where):
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), 9)

now, held = datetime.now(UTC), 0
with Ledger(path) as ledger:
    ledger.record_run('r', preset='p', dataset='d', seed=1, folder='f', now=now, state='running')
    conn = ledger._conn()
    conn.set_trace_callback(lambda sql: kill('sql', path))
    with files.observed(kill):
        session = ledger.open_session('r', platform='p', accelerator='a', now=now)
        for held in range(1, 4):
            ledger.beat(session, now, held_s=float(held))
            print(held, flush=True)
        ledger.close_session(session, 'finished', now, held_s=4.0)
        print(4, flush=True)
"""


@pytest.mark.parametrize("seed", range(3))
def test_killed_at_any_point_nothing_acknowledged_is_lost(path: Path, seed: int) -> None:
    rng = random.Random(seed)
    root = Path(__file__).parents[2]
    for attempt in range(2):
        home = path.parent / str(attempt) / "ledger.db"
        point = rng.randint(1, 60)
        ended = subprocess.run(
            [sys.executable, "-c", KILLED, str(home), str(point)],
            cwd=root, check=False, capture_output=True, text=True,
        )  # fmt: skip
        said = [int(line) for line in ended.stdout.split()]
        assert ended.returncode in (0, -9), ended.stderr
        with Ledger(home) as ledger:
            found = ledger.sessions()
        home.unlink()
        with Ledger(home) as ledger:
            assert ledger.sessions() == found
        if said:
            (session,) = found
            assert said[-1] <= session.seconds <= said[-1] + 1
            assert session.state == ("finished" if session.seconds == 4 else "died")


def test_what_another_machine_completed_meanwhile_stays_completed(path: Path) -> None:
    with Ledger(path) as ledger:
        record(ledger)
        ledger.set_state("r-1", RunState.RUNNING, after(1))
        ledger.set_state("r-1", RunState.COMPLETED, after(2))
        ledger.set_state("r-1", RunState.INTERRUPTED, after(3))
        (run,) = ledger.runs()
        assert (run.state, run.updated_at) == ("completed", after(2))
