"""A second folder as a store: another disk, a network drive. The reference for all others."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from agnews_cli.errors import CannotWrite, NoDiskSpace, StoreBusy, StoreTrouble
from agnews_cli.store.disk import files
from agnews_cli.store.remotes import byte_bounds
from agnews_cli.store.remotes.faults import in_words, is_transient
from agnews_cli.store.remotes.remote import Entry, Promises, is_name

_PIECE_BYTES = 1 << 22


class Folder:
    """Objects as files below `root`, which need not be there yet; the folder around it must.

    `is_mounted`: somebody else sees to it that what is around it is there.
    """

    def __init__(
        self,
        root: Path,
        promises: Promises | None = None,
        address: str | None = None,
        *,
        is_mounted: bool = False,
    ) -> None:
        self.root, self._is_mounted = root, is_mounted
        self._promises = promises or Promises(is_exclusive=True)
        self._address = address or str(root)

    @property
    def address(self) -> str:
        return self._address

    @property
    def promises(self) -> Promises:
        return self._promises

    def put(self, name: str, source: Path) -> None:
        with self._writing(f"store {name}"):
            files.write_new(self.path(name), pieces(source))

    def create(self, name: str, data: bytes) -> bool:
        with self._writing(f"store {name}"):
            return files.create_exclusively(self.path(name), data)

    def get(self, name: str, target: Path, most_bytes: int) -> None:
        path = self.path(name)
        with in_words(self.address, f"give {name}", missing=name), files.plain(path) as file:
            byte_bounds.require(os.fstat(file.fileno()).st_size, most_bytes)
            with target.open("wb") as sink:
                byte_bounds.copy(file.read, sink, most_bytes)

    def list(self, prefix: str) -> tuple[Entry, ...]:
        found: list[Entry] = []
        with in_words(self.address, "list its objects"):
            self._require_place()
            top = self.root / prefix
            if not top.is_dir():
                return ()
            for folder, folders, names in os.walk(top, onerror=_raise):
                folders[:] = [f for f in folders if not f.startswith(".")]
                for name in names:
                    path = Path(folder) / name
                    called = path.relative_to(self.root).as_posix()
                    try:
                        facts = path.lstat()
                    except FileNotFoundError:  # removed while we look
                        continue
                    if is_name(called) and stat.S_ISREG(facts.st_mode):
                        found.append(Entry(called, facts.st_size, facts.st_mtime))
        return tuple(sorted(found, key=lambda entry: entry.name))

    def _require_place(self) -> None:
        """What is away is not empty: a disk that is not mounted, a file where the folder was."""
        if self.root.is_dir():
            return
        if os.path.lexists(self.root):
            raise OSError(f"{self.root} is no folder")
        around = self.root.parent
        if not self._is_mounted and not around.is_dir():
            raise OSError(f"{around} is not there: mount its disk, or make it (mkdir -p {around})")

    def delete(self, name: str) -> None:
        with self._writing(f"remove {name}"):
            files.remove(self.path(name))

    def flush(self) -> None: ...

    def path(self, name: str) -> Path:
        """Where the object lies. Raises StoreTrouble for a name that is none."""
        if not is_name(name):
            raise StoreTrouble(store=self.address, action=f"name {name!r}", reason="no such name")
        return self.root / name

    @contextmanager
    def _writing(self, action: str) -> Iterator[None]:
        try:
            with in_words(self.address, action):
                self._require_place()
                yield
        except (CannotWrite, NoDiskSpace) as error:
            kind = StoreBusy if is_transient(error) else StoreTrouble
            raise kind(store=self.address, action=action, reason=error.message) from error


def pieces(source: Path) -> Iterator[bytes]:
    """A file's bytes, some megabytes at a time."""
    with source.open("rb") as file:
        while piece := file.read(_PIECE_BYTES):
            yield piece


def _raise(error: OSError) -> None:
    raise error
