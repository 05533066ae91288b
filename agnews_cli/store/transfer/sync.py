"""One run and one remote store: what is newest here goes there.

A round of `push` sends of each fine-tuning the newest checkpoint (or, of a completed run, what it
delivers), then the record, then removes what is old. Nothing old goes before the new is there;
what any manifest needs stays; only checkpoints that the newest continues are removed, and nothing
at all while the store's list lacks what was sent to it.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import PurePosixPath

from agnews_cli.core.run.state import RunState
from agnews_cli.core.saving import lineage
from agnews_cli.core.saving.checkpoint import Blob, Key, Manifest
from agnews_cli.errors import CheckpointDamaged, StoreTrouble, StoreUntrusted
from agnews_cli.store.disk import files
from agnews_cli.store.remotes.remote import Entry, Remote
from agnews_cli.store.run.runs import RunFolder
from agnews_cli.store.transfer import claims, parcels
from agnews_cli.store.transfer.parcels import DELIVERY, Parcel
from agnews_cli.store.transfer.receipts import Book

_ORPHAN_S = 24 * 3600.0
_KEPT_RECORDS = 2
_MOST_LACKING = 3  # rounds in which a list may be late
_PLAIN = ("created.json", "preset.yaml")


class Sync:
    """Sends one run to one store. `token` and `writer` are the session's."""

    def __init__(
        self,
        remote: Remote,
        run: RunFolder,
        *,
        token: int,
        writer: str,
        is_claimed: bool = True,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.remote, self.run, self.token, self.writer = remote, run, token, writer
        self.book = Book.of(run, remote.address)
        self._work = run.path / "stores" / f"work-{self.book.path.stem}"
        self._now = now
        self._claim = claims.Claim(remote, run.id, token, writer, self._work)
        self._is_claimed = is_claimed
        self._manifests: dict[str, Manifest] = {}
        self._record = b""
        self._number = 0
        self._lacking: dict[str, int] = {}
        self._proven: set[str] = set()
        self._suspect: set[str] = set()
        self._beat_s = time.monotonic()
        shutil.rmtree(self._work, ignore_errors=True)
        parcels.note_line(run)
        self._line = parcels.known_line(run)

    def push(self) -> int:
        """One round; the number of parcels sent.

        Raises StoreTrouble, CheckpointDamaged (what was read back was not what was sent), or
        Fenced where another session has claimed the run.
        """
        self._work.mkdir(parents=True, exist_ok=True)
        if self._is_claimed and not self._claim.is_made:
            self._claim.require_mine(self.remote.list(f"{self.run.id}/"))
            self._claim.make(self._now())
        entries = self.remote.list(f"{self.run.id}/")
        if self._is_claimed:
            self._claim.require_mine(entries)
        present = {entry.name: entry for entry in entries}
        if not self.remote.promises.is_bundled:
            for name in _PLAIN:
                if f"{self.run.id}/{name}" not in present:
                    self.remote.put(f"{self.run.id}/{name}", self.run.path / name)
        self._put_record(present)  # first: with an atomic store it appears with the checkpoint
        sent = sum(self._send(parcel, present) for parcel in self._to_send())
        if not sent and self.remote.promises.beats:
            self.remote.flush()
        for path in self._work.glob("record-*"):
            path.unlink()
        branches = self._tidy()
        self.book.done(branches)
        self.beat()
        return sent

    def look(self) -> None:
        """Between two pushes: whether the run is still this session's, and a sign of life.

        Raises Fenced or StoreTrouble.
        """
        if self._is_claimed:
            self._claim.require_mine(self.remote.list(f"{self.run.id}/"))
        self.beat()

    def beat(self) -> None:
        """A sign of life, when it is time for one. Raises StoreTrouble."""
        if self._claim.is_made and time.monotonic() - self._beat_s >= claims.BEAT_S:
            self._beat_s = time.monotonic()
            self._claim.beat(self._now())

    def release(self) -> None:
        """The session is over. Raises StoreTrouble."""
        if self._claim.is_made:
            self._claim.release(self._now())
        shutil.rmtree(self._work, ignore_errors=True)

    # ---- sending ---------------------------------------------------------------------------------

    def _to_send(self) -> Iterable[Parcel]:
        if parcels.run_state(self.run) == RunState.COMPLETED:
            whole = parcels.delivery(self.run, token=self.token, writer=self.writer)
            return () if whole is None else (whole,)
        return parcels.newest_local(self.run)

    def _send(self, parcel: Parcel, present: Mapping[str, Entry]) -> bool:
        if parcel.name in self.book.page.parcels:  # though a list may lack it for a while
            return False
        began_s, processor_s = time.monotonic(), time.process_time()
        try:
            held = self._held(parcel)
        except FileNotFoundError:  # pruned under us: a newer one is there, or comes
            return False
        # What came back changed is sent once more; never removed, since others may need it.
        present = {name: entry for name, entry in present.items() if name not in self._suspect}
        try:
            state = parcels.send(self.remote, self.run.id, held, present, self._proven, self._work)
        except CheckpointDamaged as error:
            base = f"{self.run.id}/{parcel.folder}/blobs"
            self._suspect |= {f"{base}/{b.sha256}" for b in parcel.blobs} - self._proven
            raise StoreTrouble(
                store=self.remote.address, action=f"keep {parcel.key.id}", reason=error.message
            ) from error
        finally:
            shutil.rmtree(self._work / "outbox", ignore_errors=True)
        self._suspect.clear()
        self._manifests[f"{self.run.id}/{parcel.name}"] = parcel.manifest
        self.book.note(parcel.name, state)
        self.book.took(time.monotonic() - began_s, time.process_time() - processor_s)
        return True

    def _held(self, parcel: Parcel) -> Parcel:
        """Links to its files, so that the trainer's pruning cannot take them away meanwhile."""
        outbox = self._work / "outbox"
        outbox.mkdir(parents=True, exist_ok=True)
        sources = {}
        for digest, path in parcel.sources.items():
            link = outbox / digest
            link.unlink(missing_ok=True)
            try:
                os.link(path, link)
            except FileNotFoundError:
                raise
            except OSError:  # a file system without links
                shutil.copyfile(path, link)
            sources[digest] = link
        return replace(parcel, sources=sources)

    def _put_record(self, present: Mapping[str, Entry]) -> None:
        keys = [key for name in present if (key := parcels.record_key(name)) is not None]
        mine = [k.step for k in keys if (k.token, k.writer) == (self.token, self.writer)]
        self._number = max([self._number, *mine]) + 1
        name, data = parcels.record(
            self.run, token=self.token, number=self._number, writer=self.writer
        )
        if data == self._record:
            return
        path = self._work / f"record-{self._number}"  # stays until a flush
        files.write_new(path, [data])
        self.remote.put(f"{self.run.id}/{name}", path)
        self._record = data
        records = sorted(
            ((key, n) for n in present if (key := parcels.record_key(n)) is not None), reverse=True
        )
        for _, old in records[_KEPT_RECORDS - 1 :]:
            self.remote.delete(old)

    # ---- removing --------------------------------------------------------------------------------

    def _tidy(self) -> tuple[str, ...]:
        """Remove old checkpoints; the names of branches that lost a fork, which stay."""
        entries = self.remote.list(f"{self.run.id}/")
        newest = claims.newest_token(entries)
        names = {entry.name for entry in entries}
        sent = {f"{self.run.id}/{name}" for name in self.book.page.parcels}
        lacking = sorted(sent - names)
        self._lacking = {name: self._lacking.get(name, 0) + 1 for name in lacking}
        for name in [n for n, rounds in self._lacking.items() if rounds > _MOST_LACKING]:
            self.book.forget(name.removeprefix(f"{self.run.id}/"))  # not late: somebody removed it
            self._proven.clear()
        if lacking:
            raise StoreUntrusted(store=self.remote.address, missing=lacking[0])
        by_folder: dict[str, list[str]] = {}
        for name in names:
            key = Key.parse(PurePosixPath(name).name)
            if key is not None and key.token <= newest:
                by_folder.setdefault(str(PurePosixPath(name).parent), []).append(name)
        is_complete, lost, gone = True, [], []
        for folder, manifests in sorted(by_folder.items()):
            opened: dict[Key, Manifest] = {}
            for name in manifests:
                key, manifest = self._manifest(name)
                if manifest is None:
                    is_complete = False
                else:
                    opened[key] = manifest
            parents = {key: manifest.parent for key, manifest in opened.items()}
            if not folder.endswith(f"/{DELIVERY}"):
                known = self._line.get(folder.removeprefix(f"{self.run.id}/"), ())
                lost += [f"{folder}/{key.id}" for key in lineage.branches(parents, known)]
            gone += [f"{folder}/{key.id}.json" for key in self._old(folder, opened)]
        for name in gone:
            self.remote.delete(name)
            self.book.forget(name.removeprefix(f"{self.run.id}/"))
        if is_complete:
            self._remove_unneeded(entries, set(gone))
        if gone:
            self.remote.flush()
        return tuple(name.removeprefix(f"{self.run.id}/") for name in lost)

    def _old(self, folder: str, opened: Mapping[Key, Manifest]) -> list[Key]:
        """What may go: all but the newest of this line, which the newest continues."""
        states = self.book.page.parcels
        inside = folder.removeprefix(f"{self.run.id}/")
        if inside == DELIVERY:
            ours = max(opened, default=None)
            is_there = ours is not None and f"{inside}/{ours.id}.json" in states
            return [key for key in opened if is_there and key != ours]
        if any(n.startswith(f"{DELIVERY}/") and s == "verified" for n, s in states.items()):
            return list(opened)  # the delivered model is the result
        parents = {key: manifest.parent for key, manifest in opened.items()}
        lost = set(lineage.branches(parents, self._line.get(inside, ())))
        own = sorted((key for key in opened if key not in lost), reverse=True)
        if not own or f"{inside}/{own[0].id}.json" not in states:
            return []  # the newest is another session's, or not proven to be there
        kept = own[: self.remote.promises.keeps]
        most = self.remote.promises.most_bytes
        while most is not None and len(kept) > 1 and _size_bytes(kept, opened) > most:
            kept.pop()
        return [key for key in own if key not in kept]

    def _remove_unneeded(self, entries: Iterable[Entry], gone: set[str]) -> None:
        needed: set[str] = set()
        was_needed: set[str] = set()
        for name, manifest in self._manifests.items():
            base = str(PurePosixPath(name).parent)
            blobs = {f"{base}/blobs/{blob.sha256}" for blob in manifest.blobs.values()}
            if name in gone:
                was_needed |= blobs
            else:
                needed |= blobs
        stems = {name.removesuffix(".json") for name in gone}
        now_s = self._now().timestamp()
        for entry in entries:
            is_blob = PurePosixPath(entry.name).parent.name == "blobs"
            is_old = entry.modified_s is not None and now_s - entry.modified_s > _ORPHAN_S
            stem = entry.name.removesuffix(".bundle").rpartition(".")[0]
            if is_blob:
                is_useless = entry.name not in needed and (entry.name in was_needed or is_old)
            elif entry.name.endswith(".bundle"):
                is_useless = stem in stems or (is_old and f"{stem}.json" not in self._manifests)
            else:
                is_useless = False
            if is_useless:
                self._proven.discard(entry.name)
                self.remote.delete(entry.name)
        for name in gone:
            self._manifests.pop(name, None)

    def _manifest(self, name: str) -> tuple[Key, Manifest | None]:
        key = Key.parse(PurePosixPath(name).name)
        assert key is not None
        if name not in self._manifests:
            try:
                _, self._manifests[name] = parcels.read_manifest(self.remote, name, self._work)
            except (StoreTrouble, CheckpointDamaged):
                return key, None
        return key, self._manifests[name]


def _size_bytes(keys: Iterable[Key], opened: Mapping[Key, Manifest]) -> int:
    blobs: set[Blob] = {blob for key in keys for blob in opened[key].blobs.values()}
    return sum(blob.size_bytes for blob in blobs)
