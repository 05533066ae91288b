"""A remote that lies, by seeded scripts: nothing is called verified that cannot be read back."""

from __future__ import annotations

import random
import shutil
from contextlib import suppress
from pathlib import Path

import pytest

from agnews_cli.core.saving.checkpoint import Key
from agnews_cli.errors import (
    AgnewsError,
    NotInStore,
    StoreBusy,
    StoreTrouble,
    StoreUntrusted,
)
from agnews_cli.store.remotes.patience import Patient
from agnews_cli.store.remotes.remote import Entry, Promises
from agnews_cli.store.run.checkpoints import Checkpoints, Draft
from agnews_cli.store.run.runs import RunFolder
from agnews_cli.store.transfer import parcels, pulls
from agnews_cli.store.transfer.sync import Sync
from tests.crash.faults import SEED, tiers

RUN = "minilm-0123456789"


class Liar:
    """Objects in memory. What each call does besides its work is drawn from a seeded script:

    late lists, a missing newest, objects that show later, writes that are accepted and lost, half
    uploads, 403, 429 and 5xx, timeouts, lost connections. `truth` is what is really kept.
    """

    def __init__(self, seed: int, *, is_bundled: bool, rate: float) -> None:
        self.rng, self.rate = random.Random(seed), rate
        self.truth: dict[str, bytes] = {}
        self.shown: dict[str, bytes] = {}
        self._promises = Promises(is_bundled=is_bundled)
        self.calls = 0

    address = "liar://"

    @property
    def promises(self) -> Promises:
        return self._promises

    def _fault(self, *kinds: str) -> str:
        self.calls += 1
        if self.rng.random() >= self.rate:
            return ""
        kind = self.rng.choice(("timeout", "429", "503", "403", "disconnect", *kinds))
        if kind in ("timeout", "429", "503", "disconnect"):
            raise StoreBusy(store="liar", action="answer", reason=kind)
        if kind == "403":
            raise StoreTrouble(store="liar", action="answer", reason=kind)
        return kind

    def put(self, name: str, source: Path) -> None:
        data = source.read_bytes()
        kind = self._fault("lost", "half", "late", "answer lost")
        if kind == "lost":
            return
        if kind == "half":
            self.truth[name] = self.shown[name] = data[: len(data) // 2]
            raise StoreBusy(store="liar", action="store", reason="connection reset")
        self.truth[name] = data
        if kind != "late":
            self.shown[name] = data
        if kind == "answer lost":
            raise StoreBusy(store="liar", action="store", reason="connection reset")

    def create(self, name: str, data: bytes) -> bool:
        raise AssertionError("it is not exclusive")

    def get(self, name: str, target: Path, most_bytes: int) -> None:
        kind = self._fault("changed")
        if name not in self.shown:
            raise NotInStore(store="liar", name=name)
        data = bytearray(self.shown[name])
        if kind == "changed" and data:
            data[self.rng.randrange(len(data))] ^= 4
        target.write_bytes(bytes(data))

    def list(self, prefix: str) -> tuple[Entry, ...]:
        kind = self._fault("stale", "no newest", "twice")
        if kind != "stale":
            self.shown = dict(self.truth)
        names = sorted(name for name in self.shown if name.startswith(prefix))
        if kind == "no newest":
            names = [n for n in names if not n.endswith(".json") or self.rng.random() < 0.5]
        if kind == "twice":
            names += names[:2]
        return tuple(Entry(name, len(self.shown[name])) for name in names)

    def delete(self, name: str) -> None:
        self._fault()
        self.truth.pop(name, None)
        self.shown.pop(name, None)

    def flush(self) -> None:
        self._fault()


def content(step: int) -> dict[str, bytes]:
    return {"weights": bytes([step]) * 50, "best": bytes([step // 3]) * 40}


def readable(liar: Liar, name: str) -> bool:
    """Whether everything that the manifest `name` needs is really kept, byte for byte."""
    import hashlib

    data = liar.truth.get(f"{RUN}/{name}")
    key = parcels.manifest_key(name)
    if data is None or key is None or hashlib.sha256(data).hexdigest()[:16] != key.digest:
        return False
    manifest = parcels.manifest_of(key, data, Path(name))
    blobs = parcels.unique(manifest)
    base = f"{RUN}/{name.rpartition('/')[0]}"
    if liar.promises.is_bundled:
        stem = f"{RUN}/{name.removesuffix('.json')}."
        wanted = [(b.sha256, b.size_bytes) for b in blobs]
        for other, kept in liar.truth.items():
            if other.startswith(stem) and len(kept) == sum(size for _, size in wanted):
                at, whole = 0, True
                for sha256, size in wanted:
                    whole &= hashlib.sha256(kept[at : at + size]).hexdigest() == sha256
                    at += size
                if whole:
                    return True
        return False
    return all(
        hashlib.sha256(liar.truth.get(f"{base}/blobs/{b.sha256}", b"")).hexdigest() == b.sha256
        for b in blobs
    )


def begin(folder: Path) -> RunFolder:
    run = RunFolder(folder / RUN)
    run.path.mkdir(parents=True)
    (run.path / "preset.yaml").write_text("name: minilm\n")
    (run.path / "created.json").write_text('{"created_at": "2026-11-25T00:00:00+00:00"}')
    return run


def play(seed: int, folder: Path) -> int:
    """One script: saves and rounds, then a pull by an empty machine. The number of faults."""
    liar = Liar(seed, is_bundled=seed % 3 == 0, rate=(0.05, 0.15, 0.3)[seed % 5 % 3])
    run, parent, token = begin(folder / "here"), None, 1
    patient = Patient(liar, tries=3, sleep=lambda seconds: None)
    session = Sync(patient, run, token=token, writer="aaaa")
    verified: set[str] = set()
    for step in range(1, 7):
        draft = Draft(
            run=RUN, candidate="m", step=step, parent=parent, token=token, writer="aaaa",
            why="interval", state={}, fingerprint={},
        )  # fmt: skip
        checkpoints = Checkpoints(run.checkpoints / "m")
        parent = checkpoints.save(draft, content(step)).id
        checkpoints.prune(keep=2)
        for _ in range(2):
            with suppress(AgnewsError):
                session.push()
            known = session.book.page.parcels
            for name, state in known.items():
                if name not in verified and state == "verified":
                    assert readable(liar, name), f"{name} is called verified"
                    verified.add(name)
            there = [n for n in known if n in verified]
            if there:  # the newest proven one is never removed, nor what it needs
                newest = max(there, key=lambda n: parcels.manifest_key(n) or Key(0, 0, "", ""))
                assert readable(liar, newest), f"{newest} was damaged by tidying"
    proven = [parcels.manifest_key(n) for n in session.book.page.parcels if n in verified]
    liar.rate, liar.shown = 0.0, dict(liar.truth)
    again = RunFolder(folder / "there" / RUN)
    again.path.mkdir(parents=True)
    pulled = pulls.pull([liar], again)
    newest_proven = max((key for key in proven if key is not None), default=None)
    if newest_proven is not None:
        assert pulled.parcels, pulled.skipped
        found, skipped = Checkpoints(again.checkpoints / "m").newest()
        assert found is not None
        assert not skipped
        assert found.key >= newest_proven
        step = found.key.step
        assert {n: Checkpoints(again.checkpoints / "m").read(found, n) for n in content(step)} == (
            content(step)
        )
    session.push()  # and once it is honest again, all is well
    assert f"checkpoints/m/{parent}.json" in session.book.page.parcels
    return liar.calls


@tiers(20, 1000)
@pytest.mark.parametrize("block", range(10))
def test_scripts_of_a_lying_store(block, tries, tmp_path, monkeypatch):
    monkeypatch.setattr("os.fsync", lambda handle: None)  # durability is not what is tested here
    first = SEED * 1_000_000 + block * tries
    for seed in range(first, first + tries):
        folder = tmp_path / str(seed)
        try:
            assert play(seed, folder) > 20
        except AssertionError as error:
            raise AssertionError(f"script {seed}: {error}") from error
        shutil.rmtree(folder)


def test_while_a_list_lacks_what_was_sent_nothing_is_removed(tmp_path):
    liar = Liar(0, is_bundled=False, rate=0.0)
    run, parent = begin(tmp_path), None
    session = Sync(liar, run, token=1, writer="aaaa")
    hidden_name = previous = ""
    listed, deleted = liar.list, []
    liar.list = lambda prefix: tuple(e for e in listed(prefix) if e.name != hidden_name)  # type: ignore[method-assign]
    liar.delete = lambda name: deleted.append(name)  # type: ignore[method-assign]
    for step in range(1, 6):
        draft = Draft(
            run=RUN, candidate="m", step=step, parent=parent, token=1, writer="aaaa",
            why="interval", state={}, fingerprint={},
        )  # fmt: skip
        parent = Checkpoints(run.checkpoints / "m").save(draft, content(step)).id
        if step == 3:
            deleted.clear()
            hidden_name = f"{RUN}/checkpoints/m/{previous}.json"
            with pytest.raises(StoreUntrusted) as caught:
                session.push()
            assert previous in caught.value.message
            assert not [name for name in deleted if "/checkpoints/" in name]
            hidden_name = ""
        session.push()
        previous = parent
    assert [name for name in deleted if "/checkpoints/" in name]
