"""Two machines that ship and merge agree on every hour, whatever happens in between."""

from __future__ import annotations

import hashlib
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from agnews_cli.core.hours import quota
from agnews_cli.core.hours.limits import PlatformLimits
from agnews_cli.core.hours.session import JournalEntry, Used, whole
from agnews_cli.store.disk import files
from agnews_cli.store.hours import copies, journal, records
from agnews_cli.store.hours.ledger import Ledger
from agnews_cli.store.settings.limits import load

NOW = datetime.now(UTC).replace(microsecond=0)
SHM = Path("/dev/shm")


def ledger_of(folder: Path, machine: str) -> Ledger:
    ledger = Ledger(folder / machine / "ledger.db")
    ledger.machine = machine
    return ledger


def work(ledger: Ledger, hours: float, run: str = "r", began: datetime = NOW) -> str:
    ledger.record_run(run, preset="p", dataset="d", seed=1, folder="f", now=began)
    session = ledger.open_session(
        run, platform="kaggle", accelerator="T4", resource="gpu", now=began
    )
    ledger.beat(session, began, held_s=hours * 1800)
    ledger.close_session(session, "finished", began, held_s=hours * 3600)
    return session


def everything(ledger: Ledger) -> records.Everything:
    """All but the names, which no copy has."""
    return records.everything(ledger._conn()).hidden


def test_what_was_shipped_is_taken_in_once(tmp_path: Path) -> None:
    store = tmp_path / "store"
    with ledger_of(tmp_path, "a") as a, ledger_of(tmp_path, "b") as b:
        work(a, 2)
        a.record(Used("u-1", "kaggle", "gpu", NOW, 60.0, "by hand"))
        written = copies.ship(a, store)
        assert sorted(p.name for p in written) == list(files.names(store))
        assert copies.ship(a, store) == ()  # nothing happened since
        work(b, 3)
        assert copies.merge(b, store) == copies.Merged(2, ())
        assert copies.merge(b, store) == copies.Merged(0, ())
        copies.ship(b, store)
        copies.merge(a, store)
        assert everything(a) == everything(b)
        assert sum(s.seconds for s in a.sessions()) == 5 * 3600
    shutil.rmtree(tmp_path / "a")
    with ledger_of(tmp_path, "a") as a:  # a new disk
        copies.merge(a, store)
        known = everything(a)
    (tmp_path / "a" / "ledger.db").unlink()
    with ledger_of(tmp_path, "a") as a, ledger_of(tmp_path, "b") as b:
        assert everything(a) == known == everything(b)


def test_three_copies_are_kept_and_a_sessions_newest_journal(tmp_path: Path) -> None:
    store = tmp_path / "store"
    with ledger_of(tmp_path, "a") as a:
        a.record_run("r", preset="p", dataset="d", seed=1, folder="f", now=NOW)
        session = a.open_session("r", platform="kaggle", accelerator="T4", now=NOW)
        for number in range(1, 7):
            a.beat(session, NOW, held_s=number * 15.0)
            copies.ship(a, store)
        names = files.names(store)
    assert len([n for n in names if n.endswith(".db")]) == 3
    assert len([n for n in names if n.endswith(".jsonl")]) == 1
    assert [n.split("-")[1] for n in names if n.endswith(".db")][-1] == "0000000006"


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[: len(content) // 2],
        lambda content: b"",
        lambda content: content[:5000] + b"\xff" + content[5001:],
        lambda content: b"no database at all",
    ],
)
def test_a_damaged_copy_is_passed_over_and_said(tmp_path: Path, damage: object) -> None:
    store = tmp_path / "store"
    with ledger_of(tmp_path, "a") as a, ledger_of(tmp_path, "b") as b:
        work(a, 2)
        copies.ship(a, store)
        work(a, 1, "r-2")
        copies.ship(a, store)
        newest = store / [n for n in files.names(store) if n.endswith(".db")][-1]
        newest.write_bytes(damage(newest.read_bytes()))  # type: ignore[operator]
        for path in store.glob("*.jsonl"):
            path.unlink()
        merged = copies.merge(b, store)
        assert [name for name, _ in merged.passed_over] == [newest.name]
        assert sum(s.seconds for s in b.sessions()) == 2 * 3600  # the older copy
        copies.ship(a, store)
        copies.merge(b, store)
        assert everything(a) == everything(b)


def test_a_clock_that_was_a_year_ahead_spoils_one_session_and_no_others(tmp_path: Path) -> None:
    """Seen: no copy of that machine was taken in, or removed, until the year was over."""
    store = tmp_path / "store"
    with ledger_of(tmp_path, "a") as a, ledger_of(tmp_path, "b") as b:
        work(a, 2)
        a.record_run("r", preset="p", dataset="d", seed=1, folder="f", now=NOW)
        session = a.open_session("r", platform="kaggle", accelerator="T4", now=NOW)
        a.beat(session, NOW + timedelta(days=365), held_s=60.0)
        a.close_session(session, "finished", NOW, held_s=90.0)
        for hours in (1, 1, 1, 1, 1, 1):
            work(a, hours)
            copies.ship(a, store, now=NOW)
        for path in store.glob("*.jsonl"):
            path.unlink()
        merged = copies.merge(b, store, now=NOW)
        assert merged.passed_over == ()
        assert [name.endswith(".db") for name, _ in merged.in_part] == [True] * 3
        assert sum(s.seconds for s in b.sessions()) == 8 * 3600
        assert sum(s.seconds for s in a.sessions()) == 8 * 3600 + 90
        copies.merge(b, store, now=NOW + timedelta(days=366))
        assert sum(s.seconds for s in b.sessions()) == 8 * 3600 + 90


def test_journals_alone_are_enough(tmp_path: Path) -> None:
    store = tmp_path / "store"
    with ledger_of(tmp_path, "a") as a, ledger_of(tmp_path, "b") as b:
        work(a, 2)
        copies.ship(a, store)
        for path in store.glob("*.db"):
            path.unlink()
        copies.merge(b, store)
        assert everything(a).sessions == everything(b).sessions


def test_a_newer_agnewss_copy_is_passed_over(tmp_path: Path) -> None:
    store = tmp_path / "store"
    with ledger_of(tmp_path, "a") as a, ledger_of(tmp_path, "b") as b:
        work(a, 2)
        copies.ship(a, store)
        (copy,) = store.glob("*.db")
        with closing(sqlite3.connect(copy)) as conn:
            conn.execute("PRAGMA user_version = 99")
            conn.commit()
        digest = hashlib.sha256(copy.read_bytes()).hexdigest()[:16]
        copy.rename(copy.with_stem(copy.stem.rpartition("-")[0] + f"-{digest}"))
        assert "newer agnews" in copies.merge(b, store).passed_over[0][1]
        assert len(b.sessions()) == 1  # from the journal


@pytest.mark.parametrize(
    "change",
    [
        {"seconds": 1e300},
        {"seconds": -1.0},
        {"seconds": float("nan")},
        {"seconds": "many"},
        {"resource": "fpga"},
        {"opened_at": "yesterday"},
        {"opened_at": "2026-11-25T08:00:00"},
        {"id": "another"},
        {"id": "../../escaped"},
        {"more": 1},
    ],
)
def test_what_a_store_makes_up_is_not_taken_in(tmp_path: Path, change: dict[str, object]) -> None:
    store = tmp_path / "store"
    with ledger_of(tmp_path, "a") as a, ledger_of(tmp_path, "b") as b:
        session = work(a, 2)
        (known,) = a.sessions()
        data = whole(a.runs()[0], known)
        data["session"] |= change
        store.mkdir()
        stream = str(change.get("id", session)) if "escaped" in str(change) else session
        entry = JournalEntry(stream, 1, "whole", NOW, data)
        (store / f"{session}.99.jsonl").write_bytes(journal.text([entry]))
        copies.merge(b, store)
        assert b.sessions() == ()
        assert not list(tmp_path.rglob("*escaped*"))
        copies.ship(b, store)  # and goes on


@pytest.mark.parametrize("order", ["abc", "cba", "bca"])
def test_three_machines_in_any_order_come_to_one_truth(tmp_path: Path, order: str) -> None:
    store = tmp_path / "store"
    for number, machine in enumerate("abc"):
        with ledger_of(tmp_path, machine) as ledger:
            work(ledger, number + 1.0, began=NOW + timedelta(seconds=number))
            ledger.set_state("r", "paused", NOW + timedelta(minutes=len(machine) + number))
    for _ in range(2):
        for machine in order:
            with ledger_of(tmp_path, machine) as ledger:
                copies.ship(ledger, store)
    truths = []
    for machine in order:
        with ledger_of(tmp_path, machine) as ledger:
            copies.merge(ledger, store)
            truths.append(everything(ledger))
            assert sum(s.seconds for s in ledger.sessions()) == 6 * 3600
    assert truths[0] == truths[1] == truths[2]


# ---- whatever happens ----------------------------------------------------------------------------


def dead_pid() -> int:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    return child.pid


DEAD = dead_pid()
MACHINES = st.sampled_from(["a", "b"])


class TwoMachines(RuleBasedStateMachine):
    """Sessions open, beat, die, close and sync in any order, under clocks that jump."""

    @initialize()
    def start(self) -> None:
        base = SHM if SHM.is_dir() else None  # syncing a disk for real takes all the time
        self.folder = Path(tempfile.mkdtemp(dir=base))
        self.store = self.folder / "store"
        self.held: dict[str, float] = {}
        self.open: dict[str, str] = {}
        self.clock = NOW
        kaggle = load("kaggle")
        assert kaggle is not None
        self.limits: PlatformLimits = kaggle

    def ledger(self, machine: str) -> Ledger:
        return ledger_of(self.folder, machine)

    @rule(machine=MACHINES, dies=st.booleans())
    def open_session(self, machine: str, dies: bool) -> None:
        with self.ledger(machine) as ledger:
            ledger.record_run("r", preset="p", dataset="d", seed=1, folder="f", now=self.clock)
            session = ledger.open_session(
                "r",
                platform="kaggle",
                accelerator="T4",
                resource="gpu",
                now=self.clock,
                pid=DEAD if dies else None,
            )
            self.held[session] = 0.0
            if dies:  # the next opening finds it dead, after one beat
                ledger.beat(session, self.clock, held_s=900.0)
                self.held[session] = 900.0
            else:
                self.open[session] = machine

    @rule(minutes=st.floats(0, 600), data=st.data())
    def beat(self, minutes: float, data: st.DataObject) -> None:
        if self.open:
            session = data.draw(st.sampled_from(sorted(self.open)))
            held_s = self.held[session] + minutes * 60
            with self.ledger(self.open[session]) as ledger:
                ledger.beat(session, self.clock, held_s=held_s)
            self.held[session] = held_s

    @rule(minutes=st.floats(0, 60), data=st.data())
    def close(self, minutes: float, data: st.DataObject) -> None:
        if self.open:
            session = data.draw(st.sampled_from(sorted(self.open)))
            held_s = self.held[session] + minutes * 60
            with self.ledger(self.open.pop(session)) as ledger:
                ledger.close_session(session, "finished", self.clock, held_s=held_s)
            self.held[session] = held_s

    @rule(hours=st.floats(-400, 400))
    def jump(self, hours: float) -> None:
        self.clock += timedelta(hours=hours)

    @rule(machine=MACHINES)
    def ship(self, machine: str) -> None:
        with self.ledger(machine) as ledger:
            copies.ship(ledger, self.store)

    @rule(machine=MACHINES)
    def merge(self, machine: str) -> None:
        with self.ledger(machine) as ledger:
            assert copies.merge(ledger, self.store).passed_over == ()

    @rule(machine=MACHINES, how=st.sampled_from(["gone", "damaged"]))
    def lose_the_database(self, machine: str, how: str) -> None:
        path = self.folder / machine / "ledger.db"
        if path.exists():
            path.unlink() if how == "gone" else path.write_bytes(b"damaged" * 999)

    @invariant()
    def no_machine_counts_an_hour_twice(self) -> None:
        for machine in "ab":
            if not (self.folder / machine).exists():
                continue
            with self.ledger(machine) as ledger:
                for session in ledger.sessions():
                    assert session.seconds <= self.held[session.id] + 1e-6

    def teardown(self) -> None:
        if not hasattr(self, "folder"):
            return
        try:
            for machine in "abab":
                self.ship(machine)
            truths = []
            for machine in "ab":
                with self.ledger(machine) as ledger:
                    truths.append(everything(ledger))
                    found = ledger.sessions()
                    assert {s.id: s.seconds for s in found} == pytest.approx(self.held)
                    self.check_weeks(found)
            assert truths[0] == truths[1]
        finally:
            shutil.rmtree(self.folder)

    def check_weeks(self, found: tuple[object, ...]) -> None:
        """The hours of all weeks are the hours of all sessions, each machine's once."""
        counted = quota.spans(found, [], "kaggle", "gpu", cap_s=0.0)  # type: ignore[arg-type]
        whole_s = sum((span.end - span.start).total_seconds() for span in counted)
        window = self.limits.resources["gpu"].window
        weeks: Iterator[quota.Span] = iter(
            quota.weeks_of(window, NOW + timedelta(days=7 * 60), 160)
        )
        assert sum(quota.seconds_in(week, counted) for week in weeks) == pytest.approx(whole_s)


TestTwoMachines = TwoMachines.TestCase
TestTwoMachines.settings = settings(max_examples=12, stateful_step_count=14, deadline=None)
