"""F7, F8, F17: damaged and hostile checkpoints are named and walked past; good ones load."""

from __future__ import annotations

import hashlib
import json
import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from agnews_cli.core.saving.checkpoint import Key
from agnews_cli.errors import CheckpointDamaged
from agnews_cli.store.run.checkpoints import Checkpoints, Saved
from tests.crash.faults import SEED, all_files, assert_whole, contents, draft, saved_until, tiers

Damage = Callable[[bytearray, random.Random], bytes]


def truncated(data: bytearray, rng: random.Random) -> bytes:
    return bytes(data[: rng.randrange(len(data))])


def emptied(data: bytearray, rng: random.Random) -> bytes:
    return b""


def flipped(data: bytearray, rng: random.Random) -> bytes:
    data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return bytes(data)


def zeroed(data: bytearray, rng: random.Random) -> bytes:
    """A page of zeros somewhere, or zeros to the end."""
    at = rng.randrange(len(data))
    length = rng.choice([512, len(data)])
    data[at : at + length] = bytes(min(length, len(data) - at))
    return bytes(data)


def lengthened(data: bytearray, rng: random.Random) -> bytes:
    return bytes(data) + rng.randbytes(rng.randrange(1, 50))


def shifted(data: bytearray, rng: random.Random) -> bytes:
    at = rng.randrange(1, len(data))
    return bytes(data[at:] + data[:at])


class Store:
    """A store of two checkpoints that is put back as it was before each trial."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.checkpoints = folder, saved_until(folder, 2)
        self.newest, self.older = self.checkpoints.all()
        self._good = {path: path.read_bytes() for path in all_files(folder)}
        shared = self.older.manifest.blobs.values()
        blobs = [b.sha256 for b in self.newest.manifest.blobs.values() if b not in shared]
        self.paths = [folder / f"{self.newest.id}.json", *(folder / "blobs" / b for b in blobs)]

    def put_back(self) -> None:
        for path, data in self._good.items():
            if not path.is_file() or path.read_bytes() != data:
                path.write_bytes(data)

    def assert_passed_over(self, what: object) -> None:
        found, skipped = self.checkpoints.newest()
        assert found == self.older, what
        assert [s.id for s in skipped] == [self.newest.id], what
        assert str(self.folder) in skipped[0].reason
        read, again = self.checkpoints.read_newest()
        assert read is not None
        assert (read[0], again) == (found, skipped), what


@tiers(200, 2000)
def test_every_truncation_is_found(tmp_path, tries):
    rng, store = random.Random(f"truncation {SEED}"), Store(tmp_path)
    for _ in range(tries):
        path = rng.choice(store.paths)
        kind = rng.choice(["truncated", "emptied", "missing"])
        if kind == "missing":
            path.unlink()
            if path.suffix == ".json":  # without a manifest it is no checkpoint
                assert store.checkpoints.newest() == (store.older, ())
                store.put_back()
                continue
        else:
            change = truncated if kind == "truncated" else emptied
            path.write_bytes(change(bytearray(path.read_bytes()), rng))
        store.assert_passed_over((kind, path))
        store.put_back()


@tiers(500, 5000)
def test_every_silent_damage_is_found(tmp_path, tries):
    rng, store = random.Random(f"damage {SEED}"), Store(tmp_path)
    kinds: list[Damage] = [flipped, zeroed, lengthened, shifted]
    for _ in range(tries):
        path = rng.choice(store.paths)
        data = path.read_bytes()
        if rng.random() < 0.2:  # another object under the right name: swapped, or stale
            other = rng.choice([p for p in all_files(tmp_path) if p != path])
            change, damaged = "swapped", other.read_bytes()
        else:
            chosen = rng.choice(kinds)
            change, damaged = chosen.__name__, chosen(bytearray(data), rng)
        if damaged != data:  # zeros over zeros are no damage
            path.write_bytes(damaged)
            store.assert_passed_over((change, path))
        store.put_back()


@tiers(100, 1000)
def test_no_good_checkpoint_is_refused(tmp_path, tries):
    rng = random.Random(f"good {SEED}")
    for step in range(1, tries + 1):
        checkpoints = Checkpoints(tmp_path / str(step % 7))
        data = {"weights": rng.randbytes(rng.randrange(4000)), "optimizer": b""}
        saved = checkpoints.save(draft(step), data)
        read, skipped = checkpoints.read_newest()
        assert not skipped
        assert read == (saved, data)
        checkpoints.prune(keep=1)


# ---- hostile stores -----------------------------------------------------------------------------


def manifest_of(store: Path, saved: Saved) -> dict:
    return json.loads((store / f"{saved.id}.json").read_text())


def put(store: Path, data: bytes, *, step: int = 2, name: str = "") -> Key:
    """A manifest of these bytes under the name that fits them."""
    key = Key(1, step, hashlib.sha256(data).hexdigest()[:16], "abcd")
    (store / (name or f"{key.id}.json")).write_bytes(data)
    return key


OTHER = {"sha256": "0" * 64, "size_bytes": 1}
CHANGES: dict[str, dict] = {
    "a blob's name climbs out": {"blobs": {"../../etc/passwd": OTHER}},
    "a blob's name is absolute": {"blobs": {"/etc/passwd": OTHER}},
    "a blob's name has a NUL": {"blobs": {"a\0b": OTHER}},
    "a blob's name is a device's": {"blobs": {"CON:": OTHER}},
    "a digest climbs out": {"blobs": {"weights": OTHER | {"sha256": "../../../etc/passwd"}}},
    "a digest is absolute": {"blobs": {"weights": OTHER | {"sha256": "/dev/zero"}}},
    "a digest in capitals": {"blobs": {"weights": OTHER | {"sha256": "A" * 64}}},
    "a digest with a line end": {"blobs": {"weights": OTHER | {"sha256": "0" * 64 + "\n"}}},
    "a size below nothing": {"blobs": {"weights": OTHER | {"size_bytes": -1}}},
    "a size as text": {"blobs": {"weights": OTHER | {"size_bytes": "1"}}},
    "a size as a fraction": {"blobs": {"weights": OTHER | {"size_bytes": 1.5}}},
    "a size beyond all disks": {"blobs": {"weights": OTHER | {"size_bytes": 10**30}}},
    "another schema": {"schema": "agnews.checkpoint/9"},
    "a key too many": {"surprise": 1},
    "another step than the name's": {"step": 7},
    "a step as text": {"step": "2"},
    "a step beyond the name's digits": {"step": 10**12},
    "a token that is a truth value": {"token": True},
    "a writer that climbs": {"writer": "a/b"},
    "a state that is no object": {"state": "none"},
    "blobs as a list": {"blobs": []},
    "a reason of its own": {"why": "import os"},
}
BYTES: dict[str, bytes] = {
    "nothing": b"",
    "no JSON": b"\x80\x04\x95cos\nsystem\n",
    "deep JSON": b'{"state":' + b"[" * 200_000 + b"]" * 200_000 + b"}",
    "endless digits": b'{"step":' + b"9" * 100_000 + b"}",
    "another encoding": json.dumps({"step": 2}).encode("utf-16"),
    "half a surrogate": b'{"run":"\\ud800"}',
    "a list": b"[]",
    "two documents": b"{}{}",
}


def test_there_are_many_hostile_stores():
    assert len(CHANGES) + len(BYTES) + len(PLACES) >= 20


@pytest.mark.parametrize("name", CHANGES)
def test_a_hostile_manifest_is_refused(tmp_path, name):
    checkpoints = saved_until(tmp_path / "store", 1)
    (good,) = checkpoints.all()
    facts = manifest_of(tmp_path / "store", good) | {"step": 2} | CHANGES[name]
    key = put(tmp_path / "store", json.dumps(facts).encode())
    assert_only(checkpoints, good, key.id, tmp_path)


@pytest.mark.parametrize("name", BYTES)
def test_bytes_that_are_no_manifest_are_refused(tmp_path, name):
    checkpoints = saved_until(tmp_path / "store", 1)
    (good,) = checkpoints.all()
    key = put(tmp_path / "store", BYTES[name])
    assert_only(checkpoints, good, key.id, tmp_path)


def assert_only(checkpoints: Checkpoints, good: Saved, bad: str, root: Path) -> None:
    """Only `good` is used, `bad` is told of, and nothing outside the store is touched."""
    found, skipped = checkpoints.newest()
    assert found == good
    assert [s.id for s in skipped] == [bad]
    assert checkpoints.read_newest()[1] == skipped
    assert checkpoints.all()[-1] == good
    checkpoints.prune(keep=1)
    assert_whole(checkpoints, 1)
    assert sorted(p.name for p in root.iterdir()) == ["store"]


def a_link_out(path: Path) -> None:
    path.symlink_to("/etc/passwd")


def a_link_to_itself(path: Path) -> None:
    path.symlink_to(path)


def a_pipe(path: Path) -> None:
    os.mkfifo(path)  # opening it for reading would wait for ever


def a_folder(path: Path) -> None:
    path.mkdir()


def a_device(path: Path) -> None:
    try:
        os.mknod(path, 0o600 | 0o020000, os.makedev(1, 5))  # as /dev/zero
    except PermissionError:
        pytest.skip("only root makes devices")


def a_sparse_giant(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 42)  # 4 TB that take no room


PLACES = (a_link_out, a_link_to_itself, a_pipe, a_folder, a_device, a_sparse_giant)


@pytest.mark.parametrize("kind", ["manifest", "blob"])
@pytest.mark.parametrize("put_there", PLACES, ids=lambda f: f.__name__)
def test_what_is_no_plain_file_is_neither_followed_nor_waited_for(tmp_path, put_there, kind):
    store = Store(tmp_path / "store")
    path = store.paths[0 if kind == "manifest" else 1]
    path.unlink()
    put_there(path)
    store.assert_passed_over((put_there.__name__, kind))


def test_a_giant_that_its_manifest_vouches_for_is_not_read(tmp_path):
    """4 TB of zeros under their right size: hashing them would take hours."""
    checkpoints = saved_until(tmp_path, 1)
    (good,) = checkpoints.all()
    facts = manifest_of(tmp_path, good) | {"step": 2}
    facts["blobs"]["weights"] = {"sha256": "1" * 64, "size_bytes": 1 << 42}
    a_sparse_giant(tmp_path / "blobs" / ("1" * 64))
    key = put(tmp_path, json.dumps(facts).encode())
    read, skipped = checkpoints.read_newest(most_bytes=1 << 20)
    assert read is not None
    assert read[0] == good
    assert [s.id for s in skipped] == [key.id]
    assert "claims" in skipped[0].reason


def test_a_pickle_under_a_blobs_name_is_bytes_and_nothing_more(tmp_path):
    import pickle

    class Bomb:
        def __reduce__(self):
            return (os.system, (f"touch {tmp_path / 'executed'}",))

    checkpoints = Checkpoints(tmp_path / "store")
    bomb = pickle.dumps(Bomb())
    saved = checkpoints.save(draft(1), {"weights": bomb})
    assert checkpoints.read(saved, "weights") == bomb
    assert not (tmp_path / "executed").exists()


def test_a_hostile_blob_folder_is_not_followed_for_removal(tmp_path):
    checkpoints = saved_until(tmp_path / "store", 2)
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / ("0" * 64)).write_bytes(b"somebody's")
    (tmp_path / "store" / "blobs").rename(tmp_path / "moved")
    (tmp_path / "store" / "blobs").symlink_to(outside)
    checkpoints.prune(keep=1)
    assert (outside / ("0" * 64)).exists()
    with pytest.raises(CheckpointDamaged):
        checkpoints.read(checkpoints.all()[0], "weights")
    assert contents(1)
