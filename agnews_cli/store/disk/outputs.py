"""Files that the user names: there whole or not at all, and nothing else harmed.

A link stays and what it means is written; a pipe, a device or a folder is refused, never replaced.
While a file is written it has no name, where the system can do that: whatever kills the command
leaves nothing.
"""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from agnews_cli.errors import BadOutput, CannotWrite
from agnews_cli.store.disk.names import local
from agnews_cli.store.disk.space import refusal


def real(out: str | os.PathLike[str], *, hint: str = "") -> Path:
    """Where the file that the user calls `out` lies. Raises BadOutput where that is no file.

    `hint`: what to do about a pipe or a device.
    """
    given = local(os.fspath(out))
    try:
        mode = given.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return Path(os.path.realpath(given))
    except (OSError, ValueError) as error:
        raise BadOutput(path=out, reason=getattr(error, "strerror", None) or error) from error
    if stat.S_ISDIR(mode):
        raise BadOutput(path=out, reason="it is a folder")
    if not stat.S_ISREG(mode):
        raise BadOutput(path=out, reason="it is a pipe or a device, not a file", hint=hint)
    return Path(os.path.realpath(given))


def write(out: str | os.PathLike[str], content: str | bytes, *, hint: str = "") -> Path:
    """Write a file that the user named, text as UTF-8; where it really lies.

    Raises CannotWrite or NoDiskSpace; what was there is then there still.
    """
    data = content.encode("utf-8") if isinstance(content, str) else content
    try:
        path = real(out)
    except BadOutput as error:
        reason = error.facts["reason"]
        raise CannotWrite(path=out, reason=reason, hint=hint or "Name a file.") from error
    try:
        with replaced(path) as file:
            file.write(data)
    except OSError as error:
        raise refusal(path, error, len(data)) from error
    return path


@contextmanager
def replaced(path: Path) -> Iterator[IO[bytes]]:
    """A file to write to, which becomes `path` when the block ends well, and nothing otherwise.

    `path` is `real`. Raises OSError.
    """
    with nameless(path) as draft:
        yield draft.file
        draft.file.flush()
        os.fsync(draft.file.fileno())
        with suppress(OSError):  # the mode of what was there, else that of any new file
            os.fchmod(draft.file.fileno(), _mode(path))
        draft.become(path)


def _mode(path: Path) -> int:
    if path.exists():
        return stat.S_IMODE(path.stat().st_mode)
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask


class _Draft:
    """A file that is being written: without a name on Linux, with one elsewhere."""

    def __init__(self, file: IO[bytes], name: Path, *, is_named: bool) -> None:
        self.file, self._name, self._is_named = file, name, is_named

    def become(self, path: Path) -> None:
        if not self._is_named:
            _give_name(self.file.fileno(), self._name)
            self._is_named = True
        self._name.replace(path)
        self._is_named = False

    def close(self) -> None:
        self.file.close()
        if self._is_named:
            with suppress(OSError):
                self._name.unlink()


@contextmanager
def nameless(path: Path) -> Iterator[_Draft]:
    """What will be `path`, or is thrown away. Raises OSError where nothing can be written there."""
    name = path.with_name(f".agnews-{secrets.token_hex(8)}.part")
    draft = None
    if _can_be_nameless(path.parent, name):
        handle = os.open(path.parent, os.O_TMPFILE | os.O_RDWR, 0o600)
        draft = _Draft(os.fdopen(handle, "w+b"), name, is_named=False)
    else:
        draft = _Draft(name.open("xb"), name, is_named=True)
    try:
        yield draft
    finally:
        draft.close()


def _give_name(handle: int, name: Path) -> None:
    # The descriptor is not looked at, for the path is whole; Python follows links only with one.
    os.link(f"/proc/self/fd/{handle}", name, src_dir_fd=handle, follow_symlinks=True)


def _can_be_nameless(folder: Path, name: Path) -> bool:
    """Whether a file without a name can be made there and named later; network drives cannot."""
    if not hasattr(os, "O_TMPFILE"):
        return False
    try:
        handle = os.open(folder, os.O_TMPFILE | os.O_RDWR, 0o600)
    except OSError:
        return False
    try:
        _give_name(handle, name)
        name.unlink()
    except OSError:
        return False
    finally:
        os.close(handle)
    return True
