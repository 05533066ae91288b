"""A folder that is there whole or not at all: it is written beside its place under another name."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from agnews_cli.errors import CannotWrite, FileThere
from agnews_cli.store.disk import files

_HINT = "Name another folder: {option} DIR"


@contextmanager
def whole_folder(target: Path, *, option: str = "--out") -> Iterator[Path]:
    """An empty folder, which becomes `target` when the block ends well; otherwise it is removed.

    Of a process that was killed it stays, until the next one writes to the same place. Raises
    FileThere, CannotWrite or NoDiskSpace.
    """
    require_free(target, option=option)
    files.make_folder(target.parent)
    _remove_left(target)
    draft = target.with_name(f"{_prefix(target)}{os.getpid()}")
    lock = None
    try:  # before it is made, for a signal may come at once
        files.make_folder(draft)
        lock = os.open(draft, os.O_RDONLY)
        with suppress(OSError):  # a file system without locks: then no draft is ever taken as left
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield draft
        files.sync_all(draft)
        _rename(draft, target)
        files.sync_folder(target.parent)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
        if lock is not None:
            os.close(lock)


def require_free(target: Path, *, option: str = "--out") -> None:
    """Raises FileThere where anything is there, also a link that leads nowhere."""
    if os.path.lexists(target):
        raise FileThere(path=target, hint=_HINT.format(option=option))


def _prefix(target: Path) -> str:
    return f".{target.name}.draft-"


def _rename(draft: Path, target: Path) -> None:
    require_free(target)
    try:
        draft.rename(target)
    except OSError as error:
        if error.errno in (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR):
            raise FileThere(path=target, hint=_HINT) from None
        raise CannotWrite(path=target, reason=error.strerror, hint=_HINT) from error


def _remove_left(target: Path) -> None:
    """Drafts of processes that have ended: nobody holds their locks."""
    for path in target.parent.glob(f"{_prefix(target)}*"):
        with suppress(OSError):
            lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(path, ignore_errors=True)
            finally:
                os.close(lock)
