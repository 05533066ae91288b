"""A second folder as a store: another disk, a network drive. The reference for all others."""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from agnews_cli.errors import CannotWrite, NoDiskSpace, StoreBusy, StoreTrouble
from agnews_cli.store import files
from agnews_cli.store.remotes.faults import in_words, is_transient
from agnews_cli.store.remotes.remote import Entry, Promises, is_name

_PIECE_BYTES = 1 << 22


class Folder:
    """Objects as files below `root`, which need not be there yet."""

    def __init__(
        self, root: Path, promises: Promises | None = None, address: str | None = None
    ) -> None:
        self.root = root
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
        path = self.path(name)
        draft = path.with_name(f".{secrets.token_hex(8)}{files.DRAFT}")
        with self._writing(f"store {name}"):
            files.write_new(draft, [data])
            try:
                os.link(draft, path)  # whole and exclusive, in one operation
            except FileExistsError:
                return False
            finally:
                draft.unlink()
        return True

    def get(self, name: str, target: Path) -> None:
        path = self.path(name)
        with in_words(self.address, f"give {name}", missing=name):
            handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            with os.fdopen(handle, "rb") as file, target.open("wb") as sink:
                if not stat.S_ISREG(os.fstat(handle).st_mode):
                    raise OSError("it is no plain file")
                while piece := file.read(_PIECE_BYTES):
                    sink.write(piece)

    def list(self, prefix: str) -> tuple[Entry, ...]:
        found: list[Entry] = []
        with in_words(self.address, "list its objects"):
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
