"""The ledger's copies in a further store, so that machines that share only it agree on the hours.

What comes is not believed: `copies.merge` verifies each file when the ledger next takes it in.
"""

from __future__ import annotations

import secrets
from pathlib import Path, PurePosixPath

from agnews_cli.errors import CannotRead
from agnews_cli.store.disk import files, private
from agnews_cli.store.hours import copies
from agnews_cli.store.remotes.remote import Remote

_TAKEN = 3
_KEPT = 10
"""More than are taken: another machine may still have to read one."""


def exchange(remote: Remote, folder: Path) -> int:
    """Bring the newest copies to `folder`, send what only it has; how many went either way.

    Raises StoreTrouble, CannotRead, CannotWrite or NoDiskSpace.
    """
    sizes = {
        PurePosixPath(entry.name).name: entry.size_bytes
        for entry in remote.list(f"{copies.FOLDER}/")
    }
    if folder.is_symlink():
        raise CannotRead(path=folder, reason="it is a link, and none in a store is followed")
    there = [name for name in copies.sound(sizes) if copies.is_copy(name)]
    here = [name for name in copies.sound(files.names(folder)) if copies.is_copy(name)]
    newest = sorted({*there, *here})[-_TAKEN:]
    wanted = [n for n in newest if n not in here and sizes[n] <= copies.MOST_BYTES]
    for name in wanted:
        draft = folder / f".{secrets.token_hex(8)}{files.DRAFT}"
        private.make_folder(folder)
        try:
            remote.get(f"{copies.FOLDER}/{name}", draft, copies.MOST_BYTES)
            private.make_file(draft)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise
        draft.replace(folder / name)
    sent = [name for name in here if name not in there]
    for name in sent:
        remote.put(f"{copies.FOLDER}/{name}", folder / name)
    if sent:
        remote.flush()
        for name in sorted({*there, *sent})[:-_KEPT]:
            remote.delete(f"{copies.FOLDER}/{name}")
        remote.flush()
    return len(wanted) + len(sent)
