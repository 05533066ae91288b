"""Checkpoints in a folder: `blobs/<SHA-256>` and, written last, `m-….json`, the manifest.

Blobs first, manifest last, nothing overwritten: a process killed at any instruction leaves the
checkpoints before it whole (docs/checkpoint-format.md). Everything is verified when it is read;
`newest` walks back to the newest checkpoint whose every byte is the one that was written.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

from agnews_cli.core.saving import fencing
from agnews_cli.core.saving.checkpoint import Blob, Key, Manifest, Why
from agnews_cli.core.text import strict_json
from agnews_cli.errors import CannotWrite, CheckpointDamaged
from agnews_cli.store.disk import files

__all__ = ["Checkpoints", "Draft", "Saved", "Skipped", "Why"]

_MOST_MANIFEST_BYTES = 4_000_000
_STALE_DRAFT_S = 3600.0
_BLOB = re.compile(r"[0-9a-f]{64}")

Content = bytes | tuple[files.Part, ...] | Iterable[files.Part] | Blob

Found = TypeVar("Found")


def _alone() -> None: ...


@dataclass(frozen=True, slots=True)
class Draft:
    """A manifest before its blobs are written."""

    run: str
    candidate: str
    step: int
    parent: str | None
    token: int
    writer: str
    why: Why
    state: Mapping[str, Any]
    fingerprint: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Saved:
    """A checkpoint in the store."""

    key: Key
    manifest: Manifest

    @property
    def id(self) -> str:
        return self.key.id


@dataclass(frozen=True, slots=True)
class Skipped:
    """A checkpoint that is not used, and why."""

    id: str
    reason: str


class Checkpoints:
    """The checkpoints of one fine-tuning, in `folder`, which need not be there yet."""

    def __init__(
        self,
        folder: Path,
        *,
        owner: tuple[str, str] | None = None,
        most_bytes: int | None = None,
    ) -> None:
        """`owner`: run and fine-tuning whose checkpoints count; another's are passed over.

        `most_bytes`: one that claims more is passed over unread, for a store may claim anything.
        """
        self.folder, self._owner, self._most_bytes = folder, owner, most_bytes
        self._blobs = folder / "blobs"

    def save(
        self,
        draft: Draft,
        blobs: Mapping[str, Content],
        *,
        fence: Callable[[], None] = _alone,
    ) -> Saved:
        """Write what is new of `blobs`, then the manifest.

        Each is bytes, a tuple of parts, parts that come one by one, or a `Blob`, which names
        content that the store has. `fence` raises when another session owns the run now; it is
        called just before the manifest is written and just after. Raises CheckpointDamaged when a
        `Blob` is not there, CannotWrite or NoDiskSpace; the checkpoints before it are then as they
        were.
        """
        written = {name: self._written(content) for name, content in blobs.items()}
        manifest = Manifest(
            run=draft.run,
            candidate=draft.candidate,
            step=draft.step,
            parent=draft.parent,
            token=draft.token,
            writer=draft.writer,
            made_at=datetime.now(UTC).isoformat(timespec="seconds"),
            why=draft.why,
            blobs=written,
            state=dict(draft.state),
            fingerprint=dict(draft.fingerprint),
        )
        data = manifest.model_dump_json(by_alias=True, indent=1).encode()
        digest = hashlib.sha256(data).hexdigest()[:16]
        key = Key(draft.token, draft.step, digest, draft.writer)
        path = self.folder / f"{key.id}.json"
        if len(data) > _MOST_MANIFEST_BYTES:  # it would be saved, and never read
            raise CannotWrite(path=path, reason=f"a state of {len(data)} bytes is too large")
        fence()
        files.write_new(path, [data])
        try:
            fence()  # a session that began meanwhile may have removed blobs without a manifest
        except BaseException:
            files.remove(path)
            raise
        return Saved(key, manifest)

    def keys(self) -> tuple[Key, ...]:
        """Every manifest there is, good or bad, the newest first.

        At the end those whose fencing number no session can have.
        """
        found = [key for name in files.names(self.folder) if (key := Key.parse(name)) is not None]
        newest = fencing.newest(key.token for key in found)
        keys = sorted(found, key=lambda key: (key.token <= newest, key), reverse=True)
        for at, (first, second) in enumerate(pairwise(keys)):
            # Before and after a validation a run is at one step: the one that goes on is newer.
            is_tie = (first.token, first.step, first.writer) == (
                second.token, second.step, second.writer
            )  # fmt: skip
            if is_tie and self._parent(second) == first.id:
                keys[at], keys[at + 1] = second, first
        return tuple(keys)

    def _parent(self, key: Key) -> str | None:
        try:
            return self._open(key).manifest.parent
        except CheckpointDamaged:
            return None

    def all(self) -> tuple[Saved, ...]:
        """Every checkpoint whose manifest can be read, the newest first."""
        found = []
        for key, why_not in self._judged():
            with suppress(CheckpointDamaged):
                if why_not is None:
                    found.append(self._own(key))
        return tuple(found)

    def newest(self) -> tuple[Saved | None, tuple[Skipped, ...]]:
        """The newest checkpoint that verifies, and those passed over on the way to it."""
        return self._first(self._verified)

    def read_newest(
        self, *, most_bytes: int | None = None
    ) -> tuple[tuple[Saved, dict[str, bytes]] | None, tuple[Skipped, ...]]:
        """The newest checkpoint whose every blob could be read, with them; and those passed over.

        One whose blobs claim more than `most_bytes` is passed over unread: a store may be hostile.
        """

        def whole(key: Key) -> tuple[Saved, dict[str, bytes]]:
            saved = self._own(key)
            _require_bound(saved, most_bytes, self.folder / f"{key.id}.json")
            return saved, {name: self.read(saved, name) for name in saved.manifest.blobs}

        return self._first(whole)

    def _first(self, use: Callable[[Key], Found]) -> tuple[Found | None, tuple[Skipped, ...]]:
        skipped: list[Skipped] = []
        for key, why_not in self._judged():
            if why_not is not None:
                skipped.append(Skipped(key.id, why_not))
                continue
            try:
                return use(key), tuple(skipped)
            except CheckpointDamaged as error:
                skipped.append(Skipped(key.id, error.message))
        return None, tuple(skipped)

    def _judged(self) -> tuple[tuple[Key, str | None], ...]:
        """Every key, the newest first, and what is wrong with its fencing number."""
        keys = self.keys()
        newest = fencing.newest(key.token for key in keys)
        return tuple((k, fencing.why_not(k.token) if k.token > newest else None) for k in keys)

    def verify(self) -> tuple[tuple[str, str | None], ...]:
        """(id, None or what is wrong with it) of each checkpoint, the newest first."""
        return tuple((k.id, why_not or self._what_is_wrong(k)) for k, why_not in self._judged())

    def read(self, saved: Saved, name: str) -> bytes:
        """A blob's bytes, verified. Raises CheckpointDamaged."""
        blob = saved.manifest.blobs[name]
        return files.read_verified(self._blobs / blob.sha256, blob.size_bytes, blob.sha256)

    def prune(
        self, *, keep: int, most_bytes: int | None = None, fence: Callable[[], None] = _alone
    ) -> tuple[str, ...]:
        """Remove all but the newest `keep` checkpoints and what only they need; their ids.

        Older ones of these go too while the blobs need more than `most_bytes`. The newest, and the
        newest that verifies, are always kept. While any manifest cannot be read no blob is removed,
        since it may need them. Only the run's owner may prune: a blob whose manifest is still to
        come looks unneeded. Raises CannotWrite, or CannotRead with nothing more removed.
        """
        keys = self.keys()
        good, _ = self.newest()
        if good is None:
            return ()
        kept = {*keys[: max(1, keep)], good.key}
        for key in sorted(kept - {keys[0], good.key}):
            if most_bytes is not None and self._size_bytes(kept) > most_bytes:
                kept.remove(key)
        gone = [key for key in reversed(keys) if key not in kept]
        for key in gone:
            fence()
            files.remove(self.folder / f"{key.id}.json")
        if gone:  # else a power cut could bring back a manifest whose blobs are gone
            files.sync_folder(self.folder)
        for path in self._unneeded(kept):
            fence()
            files.remove(path)
        return tuple(key.id for key in gone)

    def _written(self, content: Content) -> Blob:
        if isinstance(content, Blob):
            files.check(self._blobs / content.sha256, content.size_bytes, content.sha256)
            return content
        if isinstance(content, bytes):
            content = (content,)
        if isinstance(content, tuple):
            size_bytes, digest = files.write_by_content(self._blobs, content)
        else:
            _, size_bytes, digest = files.write_new_by_content(self._blobs, "", content)
        return Blob(sha256=digest, size_bytes=size_bytes)

    def _size_bytes(self, keys: Iterable[Key]) -> int:
        """Of what the readable ones of these need, shared blobs counted once."""
        found = (saved for saved in self.all() if saved.key in keys)
        blobs = {blob for saved in found for blob in saved.manifest.blobs.values()}
        return sum(blob.size_bytes for blob in blobs)

    def _unneeded(self, kept: set[Key]) -> list[Path]:
        """Blobs that no manifest needs and old drafts; nothing where that is not certain."""
        keys = self.keys()
        if self._blobs.is_symlink() or not kept <= set(keys):
            return []  # another folder's files, or a listing that cannot be trusted
        needed: set[str] = set()
        for key in keys:
            try:
                needed |= {blob.sha256 for blob in self._open(key).manifest.blobs.values()}
            except CheckpointDamaged:
                return []
        found = []
        for folder in (self.folder, self._blobs):
            for name in files.names(folder):
                path = folder / name
                is_draft = name.startswith(".") and name.endswith(files.DRAFT)
                is_unneeded = folder == self._blobs and _BLOB.fullmatch(name) and name not in needed
                if is_unneeded or (is_draft and _age_s(path) > _STALE_DRAFT_S):
                    found.append(path)
        return found

    def _what_is_wrong(self, key: Key) -> str | None:
        try:
            self._verified(key)
        except CheckpointDamaged as error:
            return error.message
        return None

    def _verified(self, key: Key) -> Saved:
        saved = self._own(key)
        for blob in saved.manifest.blobs.values():
            files.check(self._blobs / blob.sha256, blob.size_bytes, blob.sha256)
        return saved

    def _own(self, key: Key) -> Saved:
        """A checkpoint that counts. Raises CheckpointDamaged."""
        saved, path = self._open(key), self.folder / f"{key.id}.json"
        if self._owner is not None:
            require_owner(saved.manifest, *self._owner, path)
        _require_bound(saved, self._most_bytes, path)
        return saved

    def _open(self, key: Key) -> Saved:
        path = self.folder / f"{key.id}.json"
        data = files.read_small(path, _MOST_MANIFEST_BYTES)
        return Saved(key, manifest_of(key, data, path))


def manifest_of(key: Key, data: bytes, path: Path) -> Manifest:
    """The manifest that the name `key` promises. Raises CheckpointDamaged."""
    if hashlib.sha256(data).hexdigest()[:16] != key.digest:
        raise CheckpointDamaged(path=path, reason="is changed: its SHA-256 differs")
    try:
        manifest = Manifest.model_validate(strict_json.parse(data))
    except ValueError as error:  # pydantic's is one
        reason = f"is no manifest: {str(error).splitlines()[0]}"
        raise CheckpointDamaged(path=path, reason=reason) from error
    if (manifest.token, manifest.step, manifest.writer) != (key.token, key.step, key.writer):
        raise CheckpointDamaged(path=path, reason="has a name that its content contradicts")
    return manifest


def _require_bound(saved: Saved, most_bytes: int | None, path: Path) -> None:
    claimed = sum(blob.size_bytes for blob in saved.manifest.blobs.values())
    if most_bytes is not None and claimed > most_bytes:
        reason = f"claims {claimed} bytes, more than the {most_bytes} of any state here"
        raise CheckpointDamaged(path=path, reason=reason)


def require_owner(manifest: Manifest, run: str, candidate: str, path: Path) -> None:
    """Raises CheckpointDamaged where it is another run's, or another fine-tuning's."""
    if (manifest.run, manifest.candidate) != (run, candidate):
        whose = f"{manifest.run[:80]!r}, {manifest.candidate[:80]!r}"
        raise CheckpointDamaged(path=path, reason=f"is of another run or fine-tuning: {whose}")


def _age_s(path: Path) -> float:
    try:
        return time.time() - path.stat().st_mtime
    except OSError:
        return 0.0
