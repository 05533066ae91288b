"""Room on the disk: whether there is enough, and what a refusal is called."""

from __future__ import annotations

import errno
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path

from agnews_cli.errors import CannotWrite, NoDiskSpace


def nearest_there(path: Path) -> Path:
    """`path`, or of the folders around it the innermost one that is there."""
    there = path.absolute()
    while not there.exists() and there != there.parent:
        there = there.parent
    return there


def require_space(path: Path, needed_bytes: int) -> None:
    """Raises CannotWrite or NoDiskSpace unless that many bytes can be written under `path`.

    `path` need not be there yet. A quota that the file system does not tell of is not seen.
    """
    there = nearest_there(path)
    if not there.is_dir():
        raise CannotWrite(path=path, reason=f"{there} is a file, not a folder")
    try:
        # Really writing: permissions say nothing on a read-only mount, or to root.
        with tempfile.TemporaryFile(dir=there) as probe:
            probe.write(b"x")
        free = shutil.disk_usage(there).free
    except OSError as error:
        raise refusal(path, error, needed_bytes) from error
    if free < needed_bytes:
        raise NoDiskSpace(path=path, free=size(free), needed=size(needed_bytes))


def fullest(named: str | None, folders: Iterable[str]) -> Path:
    """Whose disk is full: of the file that the system named, else of the folder with least room."""
    if named is not None:
        return Path(named)
    return min(map(Path, folders), key=free_bytes)


def free_bytes(folder: Path) -> int:
    """Room where `folder` is or would be; 0 where the system does not tell."""
    try:
        return shutil.disk_usage(nearest_there(folder)).free
    except OSError:
        return 0


def size(size_bytes: int) -> str:
    """For people, in powers of 1000 as disks are sold: 1.5 GB."""
    amount = float(size_bytes)
    for unit in ("bytes", "KB", "MB", "GB"):
        if round(amount, 1) < 1000:
            return f"{amount:.0f} {unit}" if unit == "bytes" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} TB"


def refusal(path: Path, error: OSError, needed_bytes: int) -> CannotWrite | NoDiskSpace:
    """The error to raise for what the system said on writing to `path`."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        try:
            free = size(shutil.disk_usage(path.parent).free)
        except OSError:
            free = "nothing"
        return NoDiskSpace(path=path, free=free, needed=size(needed_bytes))
    return CannotWrite(path=path, reason=error.strerror or str(error))
