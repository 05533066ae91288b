"""The one door through which checkpoints touch the disk.

Every operation is told to `observe` before and after, so that tests can count and record them,
fail them or kill the process at them. A file appears under its name when it is whole, or not at
all: temporary file, fsync, rename, fsync of the folder. A failed fsync is never tried again on the
same file: the kernel may have dropped the pages (Rebello et al. 2020).
"""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from agnews_cli.errors import CheckpointDamaged
from agnews_cli.store.runs import refusal

Part = bytes | memoryview
Observer = Callable[[str, Path], None]

DRAFT = ".tmp"
_PIECE_BYTES = 1 << 22


def _nobody(operation: str, path: Path) -> None: ...


observe: Observer = _nobody


@contextmanager
def observed(by: Observer) -> Iterator[None]:
    """Within, `by` is called with each operation's name before it, and with `-done` after."""
    global observe
    before, observe = observe, by
    try:
        yield
    finally:
        observe = before


def write_new(path: Path, parts: Iterable[Part]) -> tuple[int, str]:
    """Write a file whole; (bytes, SHA-256), hashed as they are written.

    Raises CannotWrite or NoDiskSpace; the file is then not there.
    """
    draft = path.with_name(f".{path.name[:40]}.{secrets.token_hex(4)}{DRAFT}")
    size_bytes, digest = 0, hashlib.sha256()
    try:
        try:
            _make_folder(path.parent)
            with _step("open", draft):
                handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            try:
                for piece in _pieces(parts):
                    digest.update(piece)
                    size_bytes += len(piece)
                    _write_all(handle, piece, draft)
                with _step("fsync", draft):
                    os.fsync(handle)
            finally:
                os.close(handle)
            with _step("rename", path):
                draft.rename(path)
            _sync_folder(path.parent)
        except BaseException:
            with suppress(OSError):
                draft.unlink()
            raise
    except OSError as error:
        raise refusal(path, error, size_bytes) from error
    return size_bytes, digest.hexdigest()


def write_by_content(folder: Path, data: bytes) -> tuple[int, str]:
    """Write `data` under the name of its SHA-256; what is there whole is not written again."""
    digest = hashlib.sha256(data).hexdigest()
    path = folder / digest
    with suppress(CheckpointDamaged):
        _verify(path, len(data), digest)
        return len(data), digest
    return write_new(path, [data])


def read_verified(path: Path, size_bytes: int, sha256: str) -> bytes:
    """The file's bytes. Raises CheckpointDamaged when they are not those that were written."""
    if path.is_symlink():
        raise CheckpointDamaged(path=path, reason="is a link, not a file")
    try:
        with path.open("rb") as file:
            data = file.read(size_bytes + 1)
    except FileNotFoundError:
        raise CheckpointDamaged(path=path, reason="is missing") from None
    except OSError as error:
        raise CheckpointDamaged(path=path, reason=error.strerror or str(error)) from error
    if len(data) != size_bytes:
        found = "longer" if len(data) > size_bytes else f"{len(data)} bytes"
        raise CheckpointDamaged(path=path, reason=f"is {found} instead of {size_bytes} bytes")
    if hashlib.sha256(data).hexdigest() != sha256:
        raise CheckpointDamaged(path=path, reason="its content changed (SHA-256 differs)")
    return data


def check(path: Path, size_bytes: int, sha256: str) -> None:
    """Raises CheckpointDamaged like `read_verified`, in little memory."""
    _verify(path, size_bytes, sha256)


def remove(path: Path) -> None:
    """Remove a file that may be gone already. Raises CannotWrite."""
    try:
        with _step("unlink", path):
            path.unlink(missing_ok=True)
    except OSError as error:
        raise refusal(path, error, 0) from error


def names(folder: Path) -> tuple[str, ...]:
    """File names in a folder, sorted; none where there is no folder."""
    try:
        return tuple(sorted(entry.name for entry in folder.iterdir()))
    except OSError:
        return ()


def _verify(path: Path, size_bytes: int, sha256: str) -> None:
    if path.is_symlink():
        raise CheckpointDamaged(path=path, reason="is a link, not a file")
    try:
        found_bytes = path.stat().st_size
        if found_bytes != size_bytes:
            reason = f"is {found_bytes} bytes instead of {size_bytes}"
            raise CheckpointDamaged(path=path, reason=reason)
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        raise CheckpointDamaged(path=path, reason="is missing") from None
    except OSError as error:
        raise CheckpointDamaged(path=path, reason=error.strerror or str(error)) from error
    if digest != sha256:
        raise CheckpointDamaged(path=path, reason="its content changed (SHA-256 differs)")


@contextmanager
def _step(operation: str, path: Path) -> Iterator[None]:
    observe(operation, path)
    yield
    observe(operation + "-done", path)


def _pieces(parts: Iterable[Part]) -> Iterator[memoryview]:
    for part in parts:
        view = memoryview(part).cast("B")
        for start in range(0, len(view), _PIECE_BYTES):
            yield view[start : start + _PIECE_BYTES]


def _write_all(handle: int, piece: memoryview, path: Path) -> None:
    """`os.write` may write less than it was given, without an error."""
    with _step("write", path):
        half = len(piece) // 2
        for part in (piece[:half], piece[half:]):
            while len(part):
                part = part[os.write(handle, part) :]
            observe("write-torn", path)


def _make_folder(folder: Path) -> None:
    if not folder.is_dir():
        with _step("mkdir", folder):
            folder.mkdir(parents=True, exist_ok=True)
        _sync_folder(folder.parent)


def _sync_folder(folder: Path) -> None:
    """Makes a rename last. A file system that cannot is no worse off; one that fails is told."""
    with _step("fsync-folder", folder):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.ENOTSUP):
                raise
        finally:
            os.close(handle)
