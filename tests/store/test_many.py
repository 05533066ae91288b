"""Ten thousand runs, and a ledger that is locked, damaged or not ours to write: answers anyway."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from agnews_cli.cli import resume as resume_command
from agnews_cli.core.graph.shapes import Single, graph_of
from agnews_cli.core.hours.limits import PlatformLimits
from agnews_cli.core.hours.session import Run, hidden
from agnews_cli.core.run.cost import like_news
from agnews_cli.core.run.preset import Preset
from agnews_cli.store.hours import copies, database, journal, records
from agnews_cli.store.hours.ledger import Ledger
from agnews_cli.store.run import runs
from agnews_cli.store.run.runs import RunFolder
from agnews_cli.store.settings import preset_shapes, presets
from agnews_cli.workflows.forecast import costs
from agnews_cli.workflows.hours import quota
from agnews_cli.workflows.runs import history, status
from agnews_cli.workflows.train import resume

NOW = datetime.now(UTC).replace(microsecond=0)


def begin(store: Path, count: int) -> None:
    for number in range(count):
        run = store / f"minilm-{number:010x}"
        run.mkdir(parents=True)
        at = (NOW + timedelta(minutes=number)).isoformat()
        (run / "created.json").write_text(json.dumps({"id": run.name, "created_at": at}))


def worked(hours: float, run: str = "minilm-0000000000") -> Path:
    with Ledger() as ledger:
        ledger.record_run(run, preset="p", dataset="d", seed=0, folder="f", now=NOW)
        session = ledger.open_session(
            run, platform="kaggle", accelerator="T4", resource="gpu", now=NOW
        )
        ledger.close_session(session, "finished", NOW, hours * 3600)
        return ledger.path


@pytest.fixture
def locked(monkeypatch) -> Iterator[None]:
    """A ledger that another process keeps to itself."""
    path = worked(2.0)
    monkeypatch.setattr(database, "BUSY_S", 0.05)
    with closing(sqlite3.connect(path, isolation_level=None)) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        yield
        holder.execute("ROLLBACK")


def test_the_list_of_many_runs_is_of_the_newest_and_counts_the_others(agnews, tmp_path):
    begin(tmp_path / "agnews-runs", 130)
    said = agnews("runs").out
    assert f"minilm-{129:010x}" in said and f"minilm-{30:010x}" in said
    assert f"minilm-{29:010x}" not in said
    assert "30 older runs are not shown; --json lists all" in said
    assert len(agnews("runs", "--json").json) == 130


def test_of_runs_that_are_not_shown_only_the_beginning_is_read(tmp_path, monkeypatch):
    """Seen: 8 s for ten thousand, on a machine that had other work."""
    begin(tmp_path, 130)
    read = []
    monkeypatch.setattr(RunFolder, "ended", lambda run: read.append(run.id))
    lines, older, _ = history.newest(tmp_path, 100)
    assert (len(lines), older, lines[0].run) == (100, 30, f"minilm-{129:010x}")
    assert read == [line.run for line in lines]


def test_a_plans_look_at_the_ledger_writes_nothing_at_all(own_home, monkeypatch):
    """Seen: a journal written, and synced, for each session that was ever counted."""
    path = worked(2.0)
    before = {p: p.stat().st_mtime_ns for p in path.parent.rglob("*")}

    def written(*_: object) -> int:
        raise AssertionError("a look wrote")

    monkeypatch.setattr(journal, "append", written)
    kaggle = quota.limits_of("kaggle")
    assert quota.budget_of(kaggle, "gpu").left_s == left_s(kaggle, 2.0)
    assert {p: p.stat().st_mtime_ns for p in path.parent.rglob("*")} == before


def left_s(platform: PlatformLimits, used_hours: float) -> float:
    whole = platform.limit("gpu").quota_hours
    assert whole is not None
    return (whole.value - used_hours) * 3600


@pytest.mark.parametrize("damage", [b"", b"no database at all" * 100])
def test_a_look_at_a_damaged_ledger_counts_what_the_journals_say(own_home, damage):
    """Seen: a copy of it was rebuilt without its journals, and no hours were used."""
    path = worked(2.0)
    path.write_bytes(damage)
    kaggle = quota.limits_of("kaggle")
    assert quota.budget_of(kaggle, "gpu").left_s == left_s(kaggle, 2.0)


@pytest.mark.usefixtures("locked")
def test_how_a_run_stands_is_said_while_the_ledger_is_locked(agnews, tmp_path):
    begin(tmp_path / "agnews-runs", 1)
    assert history.sessions_of("minilm-0000000000") == ()
    assert status.status("latest", tmp_path / "agnews-runs").sessions == 0


def test_the_sessions_of_a_run_are_counted_with_those_of_other_machines(own_home):
    worked(2.0)
    worked(1.0, "minilm-1111111111")
    worked(3.0, hidden("minilm-0000000000"))
    seconds = [session.seconds for session in history.sessions_of("minilm-0000000000")]
    assert sorted(seconds) == [7200.0, 10800.0]


def test_what_is_known_already_is_compared_and_not_written_again(tmp_path, monkeypatch):
    """Seen: minutes in which a session with ten thousand others in its store did not begin."""
    store, taken = tmp_path / "store", set[str]()
    for number in range(5):
        worked(1.0, f"minilm-{number:010x}")
    with Ledger() as ledger:
        copies.ship(ledger, store, taken=taken)
        written: list[str] = []
        put = records.put_run

        def noted(conn, run, **more):
            written.append(run.id)
            put(conn, run, **more)

        monkeypatch.setattr(records, "put_run", noted)
        assert copies.merge(ledger, store) == copies.Merged(0, ())
        assert written == []
        opened: list[bytes] = []
        monkeypatch.setattr(copies, "_opened", opened.append)
        copies.ship(ledger, store, taken=taken)
        assert opened == []


def test_a_copy_of_another_machine_is_taken_in_by_a_session_that_runs(tmp_path):
    store, taken = tmp_path / "store", set[str]()
    worked(1.0)
    with Ledger() as ledger, Ledger(tmp_path / "other" / "ledger.db") as other:
        copies.ship(ledger, store, taken=taken)
        other.machine = "another"
        other.record_run("r", preset="p", dataset="d", seed=0, folder="f", now=NOW)
        session = other.open_session("r", platform="kaggle", accelerator="T4", now=NOW)
        other.close_session(session, "finished", NOW, 60.0)
        copies.ship(other, store)
        copies.ship(ledger, store, taken=taken)
        assert sorted(each.seconds for each in ledger.sessions()) == [60.0, 3600.0]


def test_writing_many_hours_for_a_store_takes_the_time_that_it_takes(tmp_path, monkeypatch):
    """Seen: given up after the seconds that a stranger's copy has, in silence."""
    with Ledger() as ledger:
        moment = NOW
        with database.transaction(ledger._conn()) as _:
            for number in range(3_000):
                run = Run(f"r-{number}", "p", "d", 0, "completed", "f", moment, moment)
                records.put_run(ledger._conn(), run)
        connect = database.connect

        def connected(path: Path, **more: bool) -> sqlite3.Connection:
            conn = connect(path, **more)
            monkeypatch.setattr(database.time, "monotonic", lambda: 1e12)  # hours later
            return conn

        monkeypatch.setattr(database, "connect", connected)
        ledger.write_hidden_to(tmp_path / "copy.db")
    with closing(sqlite3.connect(tmp_path / "copy.db")) as conn:
        assert conn.execute("SELECT count(*) FROM runs").fetchone() == (3_000,)


def test_what_runs_have_shown_is_read_from_the_newest_of_many(tmp_path, monkeypatch):
    """Seen: half a minute before `resume` said a word, with ten thousand runs in its store."""
    begin(tmp_path, 12)
    read: list[str] = []

    def told(run: RunFolder) -> costs._Told:
        read.append(run.id)
        return costs._Told("cpu", False, 10.0, candidate="minilm", saved=1, total=2)

    monkeypatch.setattr(costs, "_MOST_RUNS", 5)
    monkeypatch.setattr(costs, "_told", told)
    found = costs.MeasuredCosts.read(tmp_path, presets.load("minilm"))
    assert read == [f"minilm-{number:010x}" for number in (11, 10, 9, 8, 7)]
    assert found.examples_per_s == {"cpu": 10.0}
    read.clear()
    news = like_news(120_000)
    graph = graph_of(Single(presets.load("minilm")), news)
    assert costs.Ground(tmp_path).progress(graph, news) == {}
    (tmp_path / "minilm-000000000b").rename(tmp_path / graph.place)
    assert costs.Ground(tmp_path).progress(graph, news) == {graph.place: 0.5}
    assert read == [graph.place], "of a graph its own runs alone are read"


def test_a_speed_is_that_of_whoever_trains_the_preset_whatever_it_is_called(tmp_path: Path) -> None:
    """A student is called what it is for; what asks a model is called like it, and trains none."""
    minilm, whole = presets.load("minilm"), preset_shapes.load("minilm-from-minilm")

    def run(name: str, preset: Preset | None, speed: float, day: int) -> None:
        folder = runs.create(
            tmp_path, f"{name}-{day:010d}", preset=preset, dataset=like_news(9), seed=0,
            whole=preset_shapes.resolved_text(whole), now=datetime(2026, 11, day, tzinfo=UTC),
        )  # fmt: skip
        data = {"examples_per_s": speed, "step": 1, "total_steps": 2}
        event = {"kind": "progress", "at": "", "elapsed_s": 1.0, "data": data}
        folder.events.write_text(json.dumps(event) + "\n")

    run("minilm-from-minilm", minilm, 40.0, 1)
    run("minilm", None, 900.0, 2)
    found = costs.MeasuredCosts.read(tmp_path, minilm)
    assert found.examples_per_s == {"cpu": 40.0} and "minilm-from-minilm-" in found.source


@pytest.mark.parametrize(("count", "more"), [(1, ""), (3, ""), (3_000, "; and 2,997 more")])
def test_other_unfinished_runs_are_named_while_they_are_few(count, more):
    others = tuple(resume.Unfinished(f"r-{n}", "", None) for n in range(count))
    said = resume_command._too(others)
    assert said.count("r-") == min(count, 3)
    assert (more in said) and ("more" in said) == bool(more)
