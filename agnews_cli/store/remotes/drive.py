"""Google Drive as Colab mounts it: a folder whose writes reach Drive later, or never.

A write lands in a cache on this machine first, and a read is answered from there: it proves
nothing about Drive, so nothing is called verified that this machine wrote. Many small files are
what the mount is worst at, hence bundles; two files of one name are possible, hence names that
are new each time; the bin counts against the quota, hence a file is emptied before it is removed.
"""

from __future__ import annotations

import os
from pathlib import Path

from agnews_cli.core.machine.notebook_cells import MOUNT_DRIVE
from agnews_cli.errors import DriveNotMounted
from agnews_cli.store.remotes.folder import Folder
from agnews_cli.store.remotes.remote import Entry, Promises

MOUNT = Path("/content/drive/MyDrive")
MOUNTS = Path("/proc/mounts")
_KIND = "fuse.drive"
_MOST_BYTES = 8_000_000_000  # of the 15 GB that a free account has


def is_mounted() -> bool:
    """Whether Drive is there: its folder alone may be left over from an earlier mount."""
    if not MOUNT.is_dir():
        return False
    try:
        lines = MOUNTS.read_text("utf-8", "replace").splitlines()
    except OSError:
        return False
    points = [fields[1] for line in lines if len(fields := line.split()) > 2 and fields[2] == _KIND]
    return any(MOUNT.is_relative_to(point) for point in points)


class Drive:
    """The folder `folder` of a mounted Drive. Raises DriveNotMounted."""

    def __init__(self, folder: str) -> None:
        self._inner = Folder(
            MOUNT / folder,
            Promises(proves=False, is_bundled=True, most_bytes=_MOST_BYTES),
            f"drive:{folder}",
            is_mounted=True,
        )
        self._require_mount()

    @property
    def address(self) -> str:
        return self._inner.address

    @property
    def promises(self) -> Promises:
        return self._inner.promises

    def put(self, name: str, source: Path) -> None:
        self._require_mount()  # else it would fill this machine's disk
        self._inner.put(name, source)

    def create(self, name: str, data: bytes) -> bool:
        self._require_mount()
        return self._inner.create(name, data)

    def get(self, name: str, target: Path, most_bytes: int) -> None:
        self._inner.get(name, target, most_bytes)

    def list(self, prefix: str) -> tuple[Entry, ...]:
        self._require_mount()
        return self._inner.list(prefix)

    def delete(self, name: str) -> None:
        path = self._inner.path(name)
        if path.is_file() and not path.is_symlink():
            os.truncate(path, 0)
        self._inner.delete(name)

    def flush(self) -> None: ...

    def _require_mount(self) -> None:
        if not is_mounted():
            raise DriveNotMounted(path=MOUNT, cell=MOUNT_DRIVE)
