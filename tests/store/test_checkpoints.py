"""Checkpoints: what is written, read, kept and removed. Faults are in tests/crash."""

from __future__ import annotations

import errno
import math
import os
import random
from dataclasses import replace
from pathlib import Path

import pytest

from agnews_cli.core.saving.checkpoint import Blob, Key
from agnews_cli.errors import CannotRead, CannotWrite, CheckpointDamaged
from agnews_cli.store.disk import files
from agnews_cli.store.run.checkpoints import Checkpoints
from tests.crash.faults import all_files, assert_whole, contents, draft, saved_until


def test_what_was_saved_is_read_and_an_unchanged_blob_is_not_written_again(tmp_path):
    checkpoints = saved_until(tmp_path, 1)
    written: list[Path] = []
    with files.observed(lambda op, path: written.append(path) if op == "rename" else None):
        checkpoints.save(draft(2), contents(2))
    assert len(written) == 3  # weights, optimizer and the manifest; not the best weights
    assert_whole(checkpoints, 2)
    assert [s.manifest.step for s in checkpoints.all()] == [2, 1]
    assert len(list((tmp_path / "blobs").iterdir())) == 5


def test_a_blob_that_is_gone_swapped_or_a_link_is_not_used(tmp_path):
    for kind in ("gone", "swapped", "link"):
        checkpoints = saved_until(tmp_path / kind, 2)
        newest = checkpoints.newest()[0]
        assert newest is not None
        blobs = tmp_path / kind / "blobs"
        one = blobs / newest.manifest.blobs["weights"].sha256
        if kind == "gone":
            one.unlink()
        elif kind == "swapped":
            other = checkpoints.all()[1].manifest.blobs["weights"].sha256
            one.write_bytes((blobs / other).read_bytes())
        else:
            elsewhere = tmp_path / "elsewhere"
            one.rename(elsewhere)
            one.symlink_to(elsewhere)
        with pytest.raises(CheckpointDamaged):
            checkpoints.read(newest, "weights")
        assert assert_whole(checkpoints, 1) == 1


def test_a_huge_manifest_is_not_read(tmp_path):
    checkpoints = saved_until(tmp_path, 1)
    path = tmp_path / f"{Key(9, 9, '0' * 16, 'abcd').id}.json"
    with path.open("wb") as file:
        file.truncate(50_000_000)
    found, skipped = checkpoints.newest()
    assert found is not None
    assert "too large" in skipped[0].reason


def test_the_higher_fencing_number_is_newer_than_the_further_step(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(draft(9, token=1), contents(9))
    checkpoints.save(draft(3, token=2), contents(3))
    for path in all_files(checkpoints.folder):
        os.utime(path, (0, 0) if "000003" in path.name else None)
    assert assert_whole(checkpoints, 3) == 3


@pytest.mark.parametrize("seed", range(20))
def test_pruning_never_takes_what_a_kept_manifest_needs(tmp_path, seed):
    rng = random.Random(seed)
    checkpoints, step = Checkpoints(tmp_path), 0
    for _ in range(25):
        if rng.random() < 0.6 or not step:
            step += 1
            checkpoints.save(draft(step), contents(step))
        elif rng.random() < 0.5:
            checkpoints.prune(keep=rng.randrange(1, 4))
        else:
            victim = rng.choice(all_files(checkpoints.folder))
            whole = [id_ for id_, wrong in checkpoints.verify() if wrong is None]
            data = victim.read_bytes()
            victim.write_bytes(data[:-1])
            if not [id_ for id_, wrong in checkpoints.verify() if wrong is None]:
                victim.write_bytes(data)
            before = [id_ for id_, wrong in checkpoints.verify() if wrong is None]
            checkpoints.prune(keep=1)
            after = [id_ for id_, wrong in checkpoints.verify() if wrong is None]
            assert after[0] == before[0], whole
        good, _ = checkpoints.newest()
        assert good is not None
        assert_whole(checkpoints, good.manifest.step)


def test_a_folder_that_cannot_be_listed_is_not_taken_for_an_empty_one(tmp_path, monkeypatch):
    checkpoints, listing = saved_until(tmp_path, 2), Path.iterdir
    for k in range(1, 6):
        count = 0

        def fail(self: Path, k: int = k):
            nonlocal count
            count += 1
            if count == k:
                raise OSError(errno.EIO, "Input/output error")
            return listing(self)

        monkeypatch.setattr(Path, "iterdir", fail)
        with pytest.raises(CannotRead):
            checkpoints.prune(keep=2)
        monkeypatch.setattr(Path, "iterdir", listing)
        assert [wrong for _, wrong in checkpoints.verify()] == [None, None]


def test_a_listing_that_forgets_manifests_costs_no_blob(tmp_path, monkeypatch):
    checkpoints, keys = saved_until(tmp_path, 2), Checkpoints.keys
    answers = iter([keys(checkpoints), keys(checkpoints), ()])
    monkeypatch.setattr(Checkpoints, "keys", lambda self: next(answers))
    checkpoints.prune(keep=2)
    monkeypatch.undo()
    assert [wrong for _, wrong in checkpoints.verify()] == [None, None]


def test_infinite_figures_come_back_and_a_state_too_large_to_read_is_not_saved(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    good = checkpoints.save(replace(draft(1), state={"best": math.inf, "x": 0.1 + 0.2}), {})
    with pytest.raises(CannotWrite, match="too large"):
        checkpoints.save(replace(draft(2), state={"x": "a" * 4_000_000}), {})
    found, skipped = checkpoints.newest()
    assert found == good
    assert not skipped
    assert found.manifest.state == {"best": math.inf, "x": 0.1 + 0.2}


def test_content_in_parts_and_content_that_is_there(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    first = checkpoints.save(draft(1), {"weights": (bytes([i]) * 1000 for i in range(9))})
    weights = first.manifest.blobs["weights"]
    assert checkpoints.read(first, "weights") == b"".join(bytes([i]) * 1000 for i in range(9))
    seen: list[str] = []
    with files.observed(lambda op, path: seen.append(op)):
        second = checkpoints.save(draft(2), {"weights": weights})
    assert seen.count("rename") == 1
    assert checkpoints.read(second, "weights") == checkpoints.read(first, "weights")
    again = checkpoints.save(draft(3), {"weights": [checkpoints.read(second, "weights")]})
    assert again.manifest.blobs["weights"] == weights
    assert [p.name for p in (tmp_path / "blobs").iterdir()] == [weights.sha256]
    for absent in (Blob(sha256="0" * 64, size_bytes=1), Blob(sha256=weights.sha256, size_bytes=1)):
        with pytest.raises(CheckpointDamaged):
            checkpoints.save(draft(4), {"weights": absent})
    assert len(checkpoints.all()) == 3


def test_content_whose_source_fails_leaves_nothing(tmp_path):
    def parts():
        yield b"x" * 1000
        raise RuntimeError("no more")

    checkpoints = saved_until(tmp_path, 1)
    before = sorted(all_files(checkpoints.folder))
    with pytest.raises(RuntimeError, match="no more"):
        checkpoints.save(draft(2), {"weights": parts()})
    assert sorted(all_files(checkpoints.folder)) == before


def test_short_writes_are_gone_on_with(tmp_path, monkeypatch):
    write = os.write
    monkeypatch.setattr(os, "write", lambda handle, data: write(handle, data[:7]))
    assert assert_whole(saved_until(tmp_path, 1), 1) == 1


def test_pruning_to_a_size_keeps_the_newest_and_the_newest_good_one(tmp_path):
    checkpoints = saved_until(tmp_path, 5)
    one = 8000 + len(contents(1)["best"])
    checkpoints.prune(keep=5, most_bytes=one + 8000)  # the best weights are shared
    assert [s.manifest.step for s in checkpoints.all()] == [5, 4]
    newest = checkpoints.newest()[0]
    assert newest is not None
    (tmp_path / "blobs" / newest.manifest.blobs["weights"].sha256).write_bytes(b"")
    checkpoints.prune(keep=1, most_bytes=0)
    assert [s.manifest.step for s in checkpoints.all()] == [5, 4]
    assert assert_whole(checkpoints, 4) == 4


def test_links_pipes_and_foreign_files_are_neither_followed_nor_removed(tmp_path):
    checkpoints = saved_until(tmp_path / "store", 2)
    newest, older = checkpoints.all()
    manifest = tmp_path / "store" / f"{newest.id}.json"
    manifest.rename(tmp_path / "moved.json")
    manifest.symlink_to(tmp_path / "moved.json")
    assert "link" in checkpoints.newest()[1][0].reason
    manifest.unlink()
    os.mkfifo(manifest)  # opening it for reading would wait for ever
    assert "no plain file" in checkpoints.newest()[1][0].reason
    manifest.unlink()
    foreign = tmp_path / "store" / "blobs" / ("Z" * 64)
    foreign.write_bytes(b"not ours")
    young = tmp_path / "store" / f".young{files.DRAFT}"
    stale = tmp_path / "store" / "blobs" / f".stale{files.DRAFT}"
    for path in (young, stale):
        path.write_bytes(b"torn")
    os.utime(stale, (0, 0))
    checkpoints.prune(keep=1)
    assert (foreign.exists(), young.exists(), stale.exists()) == (True, True, False)
    (tmp_path / "store" / "blobs").rename(tmp_path / "elsewhere")
    (tmp_path / "store" / "blobs").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / ("0" * 64)).write_bytes(b"whose?")
    checkpoints.prune(keep=1)
    assert (tmp_path / "elsewhere" / ("0" * 64)).exists()
    assert [s.id for s in checkpoints.all()] == [older.id]


def test_a_size_from_a_hostile_manifest_is_not_allocated(tmp_path):
    (tmp_path / "file").write_bytes(b"x")
    with pytest.raises(CheckpointDamaged, match="truncated"):
        files.read_verified(tmp_path / "file", 10**30, "0" * 64)


def test_an_unreadable_manifest_keeps_every_blob(tmp_path):
    checkpoints = saved_until(tmp_path, 3)
    (tmp_path / f"{checkpoints.all()[0].id}.json").write_bytes(b"{")
    blobs = sorted((tmp_path / "blobs").iterdir())
    checkpoints.prune(keep=1)
    assert sorted((tmp_path / "blobs").iterdir()) == blobs
    assert assert_whole(checkpoints, 2) == 2


def test_content_from_a_save_that_died_is_made_to_last_before_a_manifest_names_it(tmp_path):
    data = contents(2)
    files.write_by_content(tmp_path / "blobs", [data["weights"]])
    seen: list[tuple[str, str]] = []
    with files.observed(lambda op, path: seen.append((op, path.name))):
        Checkpoints(tmp_path).save(draft(2), {"weights": data["weights"]})
    opened = next(at for at, (op, _) in enumerate(seen) if op == "open")
    assert seen.index(("fsync-folder-done", "blobs")) < opened


@pytest.mark.parametrize(
    "name",
    [
        "m-000001-000000001-abcd-0123456789abcde.json",
        "m-٠٠٠٠٠١-000000001-abcd-0123456789abcdef.json",
        "m-000001-000000001-abcd-0123456789ABCDEF.json",
        "m-000001-000000001-../x-0123456789abcdef.json",
        "m-000001-000000001-abcd-0123456789abcdef.json\n",
        "m-000001-000000001-abcd-0123456789abcdef.json.tmp",
    ],
)
def test_no_other_name_is_a_manifests(name):
    assert Key.parse(name) is None
    assert Key.parse("m-000001-000000001-abcd-0123456789abcdef.json") is not None
