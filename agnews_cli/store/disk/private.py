"""What only its owner may read: logs, ledgers, caches and details of errors, 0700 and 0600.

What is delivered, a model or a file that the user names, keeps the user's own umask. Nothing here
follows a link or takes a name that somebody can foresee in a folder that others write to.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

_FOLDER = 0o700
_FILE = 0o600


def make_folder(folder: Path) -> Path:
    """The folder, made with those around it that are missing; one that is there stays as it is.

    Raises OSError.
    """
    for one in reversed((folder, *folder.parents)):
        if not one.is_dir():
            with suppress(FileExistsError):
                one.mkdir(_FOLDER)
    folder.mkdir(exist_ok=True)  # says so where it is a file
    return folder


def make_file(path: Path) -> None:
    """An empty file unless it is there; closed to others either way, where it is this user's.

    Raises OSError where there is none and none can be made.
    """
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, _FILE))
    except FileExistsError:
        with suppress(OSError):  # another user's, or on a disk that is only read
            if path.stat().st_mode & 0o077:
                path.chmod(_FILE)


def appending(path: Path) -> BinaryIO:
    """A log to append to. Raises OSError, also where a link or a pipe has its name."""
    handle = os.open(
        path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK, _FILE
    )
    _close_to_others(handle)
    return os.fdopen(handle, "ab")


def note(text: str, *, kind: str) -> Path:
    """A new file `agnews-KIND-….txt` with `text` in the folder for temporary files.

    Raises OSError.
    """
    import tempfile  # not before: whoever opens the ledger imports this file

    handle, name = tempfile.mkstemp(prefix=f"agnews-{kind}-", suffix=".txt")
    with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as file:
        file.write(text)
    return Path(name)


def _close_to_others(handle: int) -> None:
    with suppress(OSError):  # another user's, or a file system without modes
        if os.fstat(handle).st_mode & 0o077:
            os.fchmod(handle, _FILE)
