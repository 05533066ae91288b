"""The lock of the test rows: no look is lost or counted twice, and a change is found."""

from __future__ import annotations

import json
import stat
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from agnews_cli.core.run import looks
from agnews_cli.core.run.dataset import Dataset
from agnews_cli.core.run.job import TestOrder
from agnews_cli.errors import CannotWrite
from agnews_cli.store.data import datasets
from agnews_cli.store.data.row_cache import RowCache
from agnews_cli.store.disk import files
from agnews_cli.store.remotes.folder import Folder
from agnews_cli.store.run import test_lock
from agnews_cli.store.run.runs import RunFolder
from agnews_cli.store.transfer import look_mirror
from agnews_cli.workflows.runs import known_stores
from agnews_cli.workflows.sessions import locking
from tests import looking

NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def data(tmp_path: Path) -> Dataset:
    folder = tmp_path / "data"
    folder.mkdir()
    rows = "\n".join(f"text {n},{'ab'[n % 2]}" for n in range(40))
    for split in ("train", "test"):
        (folder / f"{split}.csv").write_text(f"text,label\n{split} {rows}\n")
    return datasets.find(str(folder))


def take(store: Path, data: Dataset, run: str, minute: int = 0) -> looks.TakenLook:
    return test_lock.take(store, looking.look(data, run), NOW + timedelta(minutes=minute))


def names(store: Path, data: Dataset) -> list[str]:
    found = test_lock.known((store,), looks.test_key(data) or "")
    return [look.run for look in found]


# ---- looks ---------------------------------------------------------------------------------------


def test_a_look_is_a_file_written_once_for_nobody_to_change(tmp_path, data):
    first = take(tmp_path, data, "one-0123456789")
    path = next((tmp_path / "test-lock" / first.order.test).iterdir())
    assert stat.S_IMODE(path.stat().st_mode) == 0o444
    assert json.loads(path.read_text())["why"] == "a test"
    again = take(tmp_path, data, "one-0123456789", minute=9)  # the run went on after a kill
    assert again == first and (again.number, again.looks) == (1, 1)
    second = take(tmp_path, data, "two-0123456789", minute=1)
    assert (second.number, second.looks) == (2, 2)
    assert test_lock.recounted(first, (tmp_path,)).looks == 2


def test_of_many_that_look_at_once_none_is_lost_and_none_counted_twice(tmp_path, data):
    start = threading.Barrier(24)

    def one(number: int) -> None:
        start.wait()
        take(tmp_path, data, f"run-{number % 12:010x}", minute=number)

    threads = [threading.Thread(target=one, args=(n,)) for n in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(names(tmp_path, data)) == [f"run-{n:010x}" for n in range(12)]
    assert not list(tmp_path.rglob(f"*{files.DRAFT}"))


def test_a_look_that_cannot_be_kept_is_not_taken(tmp_path, data):
    (tmp_path / "test-lock").write_text("in the way")
    with pytest.raises(CannotWrite):
        take(tmp_path, data, "one-0123456789")


@pytest.mark.parametrize("content", ["", "{}", '{"test": "x"}', "\x00" * 9_000])
def test_a_look_whose_file_is_damaged_counts_and_what_is_no_look_does_not(tmp_path, data, content):
    first = take(tmp_path, data, "one-0123456789")
    folder = tmp_path / "test-lock" / first.order.test
    (folder / "two-0123456789.test.1.json").write_text(content)
    (folder / "notes.txt").write_text("mine")
    (folder / "three-0123456789.test.1.json").symlink_to(folder / "one-0123456789.test.1.json")
    copied = json.loads((folder / "one-0123456789.test.1.json").read_text())
    (folder / "four-0123456789.test.1.json").write_text(json.dumps(copied))  # says another name
    assert sorted(names(tmp_path, data)) == [
        "four-0123456789.test",
        "one-0123456789",
        "three-0123456789.test",
        "two-0123456789.test",
    ]


def test_looks_of_every_known_store_are_brought_together(tmp_path, data):
    here, there, gone = (tmp_path / name for name in ("here", "there", "gone"))
    take(here, data, "one-0123456789")
    take(there, data, "two-0123456789", minute=1)
    seen = looks.sighting(data, NOW)
    assert seen is not None
    test_lock.see(there, seen)
    test_lock.gather(here, (here, there, gone))
    assert names(here, data) == ["one-0123456789", "two-0123456789"]
    assert test_lock.sightings((here,)) == (seen,)
    assert names(there, data) == ["two-0123456789"]


def test_the_ledger_remembers_every_store(tmp_path, own_home):
    from agnews_cli.store.hours.ledger import Ledger

    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    with Ledger() as ledger:
        for name in ("a", "b", "gone"):
            folder = str(tmp_path / name / f"r{name}")
            ledger.record_run(f"r{name}", preset="p", dataset="d", seed=1, folder=folder, now=NOW)
    assert set(known_stores.known(tmp_path / "c")) == {tmp_path / n for n in "abc"}


def test_machines_that_share_only_a_further_store_count_all_looks(tmp_path, data):
    remote = Folder(tmp_path / "remote")
    one, two = tmp_path / "one", tmp_path / "two"
    take(one, data, "one-0123456789")
    take(two, data, "two-0123456789", minute=1)
    (one / "test-lock" / "mine.txt").write_text("a note")
    assert [look_mirror.exchange(remote, store) for store in (one, two, one)] == [1, 2, 1]
    assert names(one, data) == names(two, data) == ["one-0123456789", "two-0123456789"]
    assert look_mirror.exchange(remote, two) == 0


def test_what_a_further_store_has_of_others_is_left_there(tmp_path, data):
    remote = Folder(tmp_path / "remote")
    path = tmp_path / "draft"
    path.write_text("x" * 9_000)
    key = looks.test_key(data)
    for name in (f"test-lock/{key}/big-0123456789.1.json", "test-lock/a/b.json", "test-lock/x"):
        remote.put(name, path)
    assert look_mirror.exchange(remote, tmp_path / "here") == 0


# ---- a session's order ---------------------------------------------------------------------------


def prepared(store: Path, data: Dataset, folder: RunFolder, *, anew: bool = False) -> int:
    order = TestOrder(dataset=data, look=looking.look(data), store=str(store))
    found = locking.prepared(order, folder, is_made_anew=anew)
    folder.test_order.write_text(found.model_dump_json())
    return found.look.time


def test_a_model_that_is_made_anew_after_a_look_takes_another_and_only_then(tmp_path, data):
    folder = RunFolder(tmp_path / "store" / "tiny-0123456789")
    folder.path.mkdir(parents=True)
    store = folder.path.parent
    assert prepared(store, data, folder) == 1
    assert prepared(store, data, folder) == 1  # stopped before it looked
    test_lock.take(store, looking.look(data), NOW)
    assert prepared(store, data, folder) == 1  # killed after it looked
    assert prepared(store, data, folder, anew=True) == 2
    assert prepared(store, data, folder) == 2  # stopped before it looked, and goes on
    assert len(test_lock.sightings((store,))) == 1


# ---- a change ------------------------------------------------------------------------------------


def told(store: Path, data: Dataset, day: int) -> str:
    """What a command says of the test rows, and remembers."""
    seen = looks.sighting(data, NOW + timedelta(days=day))
    assert seen is not None
    said = test_lock.change(seen, (store,))
    test_lock.see(store, seen)
    return said


@pytest.mark.parametrize("where", ["a text", "a line end"])
def test_one_changed_byte_is_found_and_told_with_the_looks_before(tmp_path, data, where):
    path = tmp_path / "data" / "test.csv"
    before = path.read_bytes()
    assert told(tmp_path, data, 0) == told(tmp_path, data, 1) == ""
    take(tmp_path, data, "one-0123456789")
    if where == "a text":
        path.write_bytes(before.replace(b"text 9", b"text 8"))
    else:
        path.write_bytes(before + b"\n")
    changed = datasets.find(str(tmp_path / "data"))
    said = told(tmp_path, changed, 2)
    assert "changed" in said and "2026-03-01" in said and "1 look was" in said
    path.write_bytes(before)
    assert told(tmp_path, datasets.find(str(tmp_path / "data")), 3) == ""


def test_test_rows_that_were_moved_are_the_same(tmp_path, data):
    told(tmp_path, data, 0)
    (tmp_path / "data").rename(tmp_path / "moved")
    assert told(tmp_path, datasets.find(str(tmp_path / "moved")), 1) == ""


def test_kept_test_rows_are_read_only_where_training_rows_are_not(tmp_path, data):
    cache = RowCache.of(tmp_path / "cache")
    found = datasets.find(str(tmp_path / "data"), cache=cache)
    modes = {split: stat.S_IMODE(p.stat().st_mode) for split, p in cache.rows(found).items()}
    assert modes == {"train": 0o600, "test": 0o400}
