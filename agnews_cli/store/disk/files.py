"""The one door through which checkpoints, leases and run records touch the disk.

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
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from io import BufferedReader
from pathlib import Path

from agnews_cli.errors import CannotRead, CheckpointDamaged
from agnews_cli.store.disk.space import refusal

Part = bytes | memoryview
Observer = Callable[[str, Path], None]

DRAFT = ".tmp"
_PIECE_BYTES = 1 << 22
_SMALL_BYTES = 1 << 16
_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)


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

    Raises CannotWrite or NoDiskSpace; the file is then not there or, where only the last fsync of
    the folder failed, there whole but perhaps not after a power cut.
    """
    hashed = _Hashed(parts)
    _write(path.parent, lambda: path.name, hashed)
    return hashed.size_bytes, hashed.sha256


def write_new_by_content(folder: Path, suffix: str, parts: Iterable[Part]) -> tuple[str, int, str]:
    """Write a file named by its SHA-256 and `suffix`; (name, bytes, SHA-256).

    For content of any size that comes in parts: it is written to know its name, and thrown away
    when it is there already. Raises like `write_new`.
    """
    hashed = _Hashed(parts)

    def is_there(path: Path) -> bool:
        return _is_whole(path, hashed.size_bytes, hashed.sha256)

    _write(folder, lambda: hashed.sha256 + suffix, hashed, is_there=is_there)
    return hashed.sha256 + suffix, hashed.size_bytes, hashed.sha256


def write_by_content(folder: Path, parts: Sequence[Part]) -> tuple[int, str]:
    """Write content that lies in memory under its SHA-256, unless it is there whole.

    (bytes, SHA-256). Raises like `write_new`.
    """
    hashed = _Hashed(parts)
    for _ in hashed:
        pass
    path = folder / hashed.sha256
    if _is_whole(path, hashed.size_bytes, hashed.sha256):
        sync_folder(folder)  # whoever wrote it may have died between the rename and this
    else:
        _write(folder, lambda: path.name, parts)
    return hashed.size_bytes, hashed.sha256


def write_text_atomically(path: Path, content: str) -> None:
    """All of the new text or all of the old, also after a power cut. UTF-8, line ends as given.

    Raises CannotWrite or NoDiskSpace; also where only the last fsync of the folder failed and the
    new text is there, but perhaps not after a power cut.
    """
    data = content.encode("utf-8")
    draft = _draft(path.parent)
    try:
        with _removed_on_error(draft):
            _write_draft(draft, [data], mode=0o666)
            with _step("rename", path):
                draft.replace(path)
            _sync_folder(path.parent)
    except OSError as error:
        raise refusal(path, error, len(data)) from error


def write_exclusively(path: Path, content: str) -> bool:
    """Write a small file, whole, unless one of that name is there; whether it was written.

    Raises CannotWrite or NoDiskSpace; nobody has then written it.
    """
    return _create(path, content.encode("utf-8"), mode=0o666)


def _create(path: Path, data: bytes, *, mode: int) -> bool:
    draft = _draft(path.parent)
    try:
        try:
            _write_draft(draft, [data], mode=mode)
            _link(draft, path, data, mode)
        finally:
            with suppress(OSError), _step("unlink", draft):
                draft.unlink()
        try:
            _sync_folder(path.parent)
        except BaseException:
            with suppress(OSError), _step("unlink", path):
                path.unlink()
            raise
    except FileExistsError:
        return False
    except OSError as error:
        raise refusal(path, error, len(data)) from error
    return True


def append_line(path: Path, line: str) -> None:
    """Add a line, in one piece, to a file that is there and that others append to.

    A torn line, of a process that was killed, is closed before. Raises CannotWrite or NoDiskSpace.
    """
    data = line.encode("utf-8") + b"\n"
    try:
        handle = os.open(path, os.O_RDWR | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            size_bytes = os.fstat(handle).st_size
            is_torn = size_bytes and os.pread(handle, 1, size_bytes - 1) != b"\n"
            os.write(handle, b"\n" + data if is_torn else data)
        finally:
            os.close(handle)
    except OSError as error:
        raise refusal(path, error, len(data)) from error


def create_exclusively(path: Path, data: bytes, *, mode: int = 0o600) -> bool:
    """A small file of bytes for its owner alone, its folders too; otherwise `write_exclusively`."""
    make_folder(path.parent)
    return _create(path, data, mode=mode)


def make_folder(folder: Path) -> None:
    """Make a folder and those around it, lasting. Raises CannotWrite or NoDiskSpace."""
    try:
        _make_folder(folder)
    except OSError as error:
        raise refusal(folder, error, 0) from error


def sync_folder(folder: Path) -> None:
    """Make what was renamed into, or removed from, a folder last. Raises CannotWrite."""
    try:
        _sync_folder(folder)
    except OSError as error:
        raise refusal(folder, error, 0) from error


def sync_all(folder: Path) -> None:
    """Make every file and folder in `folder` last, whoever wrote them. Raises CannotWrite.

    Libraries write without fsync: what they wrote may be gone after a power cut that spares a
    record, written later and synced, which says that it is there.
    """
    try:
        for place, _, found in os.walk(folder):
            for path in (Path(place, name) for name in found):
                if not path.is_symlink():
                    _sync_file(path)
            _sync_folder(Path(place))
    except OSError as error:
        raise refusal(folder, error, 0) from error


def _sync_file(path: Path) -> None:
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except FileNotFoundError:  # a draft that was renamed meanwhile
        return
    try:
        with _step("fsync", path):
            os.fsync(handle)
    finally:
        os.close(handle)


class _Hashed:
    """Parts, hashed and counted as they are written; once: they may be gone then."""

    def __init__(self, parts: Iterable[Part]) -> None:
        self._parts, self._digest = parts, hashlib.sha256()
        self.size_bytes = 0

    def __iter__(self) -> Iterator[Part]:
        for piece in _pieces(self._parts):
            self._digest.update(piece)
            self.size_bytes += len(piece)
            yield piece

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()


def _nowhere(path: Path) -> bool:
    return False


def _write(
    folder: Path,
    name: Callable[[], str],
    parts: Iterable[Part],
    *,
    is_there: Callable[[Path], bool] = _nowhere,
) -> None:
    """A draft with `parts`, then under its `name`, known when it is written; or thrown away."""
    draft = _draft(folder)
    size_bytes = 0
    try:
        with _removed_on_error(draft):
            _make_folder(folder)
            size_bytes = _write_draft(draft, parts, mode=0o600)
            path = folder / name()
            if is_there(path):
                with _step("unlink", draft):
                    draft.unlink()
            else:
                with _step("rename", path):
                    draft.rename(path)
            _sync_folder(folder)
    except OSError as error:
        raise refusal(folder, error, size_bytes) from error


def read_verified(path: Path, size_bytes: int, sha256: str) -> bytes:
    """The file's bytes. Raises CheckpointDamaged when they are not those that were written."""
    with _reading(path) as (file, found_bytes):
        _require_size(path, found_bytes, size_bytes)  # before reading: the size may be hostile
        data = file.read(size_bytes)
    _require_size(path, len(data), size_bytes)
    if hashlib.sha256(data).hexdigest() != sha256:
        raise CheckpointDamaged(path=path, reason="is changed: its SHA-256 differs")
    return data


def read_small(path: Path, most_bytes: int) -> bytes:
    """The file's bytes. Raises CheckpointDamaged where it is no plain file, or a larger one."""
    with _reading(path) as (file, found_bytes):
        data = file.read(most_bytes + 1) if found_bytes <= most_bytes else b""
    if max(found_bytes, len(data)) > most_bytes:
        raise CheckpointDamaged(path=path, reason=f"is too large: more than {most_bytes} bytes")
    return data


class NotPlain(OSError):
    """A link, a pipe, a device, a folder or a file that is too large, where a file should be."""


@contextmanager
def plain(path: Path, *, follows: bool = False) -> Iterator[BufferedReader]:
    """A plain file, open for reading: no pipe is waited for and no device read.

    What lies in a store may be anybody's making. `follows`: a link is followed to a plain file, as
    people link their settings; never so for what a store holds. Raises OSError, which says why.
    """
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | (0 if follows else os.O_NOFOLLOW)
    try:
        handle = os.open(path, flags)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise NotPlain(errno.ELOOP, "is a link, not a file", str(path)) from None
        if error.errno in (errno.ENXIO, errno.EISDIR):  # a socket; a folder
            raise NotPlain(error.errno, "is no plain file", str(path)) from None
        raise
    try:
        file = os.fdopen(handle, "rb")
    except OSError:  # a folder
        os.close(handle)
        raise NotPlain(errno.EISDIR, "is no plain file", str(path)) from None
    with file:
        observe("read", path)
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise NotPlain(errno.EINVAL, "is no plain file", str(path))
        yield file


def read_plain(path: Path, most_bytes: int, *, follows: bool = False) -> bytes:
    """A plain file's bytes. Raises OSError as `plain` does, and for a file of more bytes."""
    with plain(path, follows=follows) as file:
        data = file.read(most_bytes + 1)
    if len(data) > most_bytes:
        reason = f"is too large: more than {most_bytes} bytes"
        raise NotPlain(errno.EFBIG, reason, str(path))
    return data


def is_folder(path: Path) -> bool:
    """Whether there is a folder by that name, and not a link to one."""
    try:
        return stat.S_ISDIR(path.lstat().st_mode)
    except OSError:
        return False


def check(path: Path, size_bytes: int, sha256: str) -> None:
    """Raises CheckpointDamaged like `read_verified`, in little memory."""
    with _reading(path) as (file, found_bytes):
        _require_size(path, found_bytes, size_bytes)
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != sha256:
        raise CheckpointDamaged(path=path, reason="is changed: its SHA-256 differs")


def remove(path: Path) -> None:
    """Remove a file that may be gone already. Raises CannotWrite."""
    try:
        with _step("unlink", path):
            path.unlink(missing_ok=True)
    except OSError as error:
        raise refusal(path, error, 0) from error


def names(folder: Path) -> tuple[str, ...]:
    """File names in a folder, sorted; none where there is no folder.

    Raises CannotRead where it cannot be listed: nothing found is not the same as nothing there,
    and who takes one for the other deletes what is needed, or trains from the beginning.
    """
    try:
        observe("list", folder)
        return tuple(sorted(entry.name for entry in folder.iterdir()))
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise CannotRead(path=folder, reason=error.strerror or str(error)) from error


def _draft(folder: Path) -> Path:
    return folder / f".{secrets.token_hex(8)}{DRAFT}"


def _write_draft(draft: Path, parts: Iterable[Part], *, mode: int) -> int:
    """A new file with `parts`, synced; its bytes."""
    size_bytes = 0
    with _step("open", draft):
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        for piece in _pieces(parts):
            size_bytes += len(piece)
            _write_all(handle, piece, draft)
        with _step("fsync", draft):
            os.fsync(handle)
    finally:
        os.close(handle)
    return size_bytes


def _link(draft: Path, path: Path, data: bytes, mode: int) -> None:
    """The draft under its name, exclusively. Raises FileExistsError where there is one already."""
    try:
        with _step("link", path):
            os.link(draft, path)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        # A mount without links: exclusive, but a reader may find it half written.
        with _step("open", path):
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        try:
            _write_all(handle, memoryview(data), path)
            os.fsync(handle)
        except BaseException:
            with suppress(OSError), _step("unlink", path):
                path.unlink()
            raise
        finally:
            os.close(handle)


@contextmanager
def _removed_on_error(draft: Path) -> Iterator[None]:
    try:
        yield
    except BaseException:
        with suppress(OSError), _step("unlink", draft):
            draft.unlink()
        raise


@contextmanager
def _reading(path: Path) -> Iterator[tuple[BufferedReader, int]]:
    """The open file and its bytes. Raises CheckpointDamaged for what `plain` refuses."""
    try:
        with plain(path) as file:
            yield file, os.fstat(file.fileno()).st_size
    except FileNotFoundError:
        raise CheckpointDamaged(path=path, reason="is missing") from None
    except NotPlain as error:
        raise CheckpointDamaged(path=path, reason=error.strerror) from None
    except OSError as error:
        reason = f"cannot be read: {error.strerror or error}"
        raise CheckpointDamaged(path=path, reason=reason) from error


def _require_size(path: Path, found_bytes: int, size_bytes: int) -> None:
    if found_bytes != size_bytes:
        how = "truncated" if found_bytes < size_bytes else "too long"
        reason = f"is {how}: {found_bytes} bytes instead of {size_bytes}"
        raise CheckpointDamaged(path=path, reason=reason)


def _is_whole(path: Path, size_bytes: int, sha256: str) -> bool:
    try:
        check(path, size_bytes, sha256)
    except CheckpointDamaged:
        return False
    return True


@contextmanager
def _step(operation: str, path: Path) -> Iterator[None]:
    observe(operation, path)
    yield
    observe(operation + "-done", path)


def _pieces(parts: Iterable[Part]) -> Iterator[memoryview]:
    """The parts in order, in pieces worth a write: large ones as they lie, small ones together."""
    small = bytearray()
    for part in parts:
        view = memoryview(part).cast("B")
        is_small = len(view) < _SMALL_BYTES
        if is_small:
            small += view
        if len(small) >= (_SMALL_BYTES if is_small else 1):
            yield memoryview(small)
            small = bytearray()
        if not is_small:
            for start in range(0, len(view), _PIECE_BYTES):
                yield view[start : start + _PIECE_BYTES]
    if small:
        yield memoryview(small)


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
        if folder.parent != folder:
            _make_folder(folder.parent)
        with _step("mkdir", folder):
            folder.mkdir(exist_ok=True)
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
