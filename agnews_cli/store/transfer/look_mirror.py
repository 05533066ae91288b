"""What is known of test rows, exchanged with a further store: no look is lost between machines.

Objects never change and their names follow from what they say, so that the union of both sides is
all there is to do. What comes is not believed: `store.run.test_lock` reads each strictly.
"""

from __future__ import annotations

import secrets
from pathlib import Path, PurePosixPath

from agnews_cli.store.disk import files
from agnews_cli.store.remotes.remote import Remote
from agnews_cli.store.run import test_lock


def exchange(remote: Remote, store: Path) -> int:
    """Bring what only `remote` has to the folder of runs `store`, and send what only that has; how
    many went either way.

    Raises StoreTrouble, CannotRead, CannotWrite or NoDiskSpace.
    """
    there = {
        entry.name
        for entry in remote.list(f"{test_lock.FOLDER}/")
        if _is_ours(entry.name) and entry.size_bytes <= test_lock.MOST_BYTES
    }
    here = set(_here(store))
    wanted = sorted(there - here)[: test_lock.MOST_FILES]
    for name in wanted:
        path = store / name
        draft = path.parent / f".{secrets.token_hex(8)}{files.DRAFT}"
        files.make_folder(path.parent)
        try:
            remote.get(name, draft, test_lock.MOST_BYTES)
            data = files.read_small(draft, test_lock.MOST_BYTES)
            files.create_exclusively(path, data, mode=test_lock.READ_ONLY)
        finally:
            draft.unlink(missing_ok=True)
    sent = sorted(here - there)
    for name in sent:
        remote.put(name, store / name)
    if sent:
        remote.flush()
    return len(wanted) + len(sent)


def _here(store: Path) -> list[str]:
    """Names of objects, as a store has them."""
    root, found = store / test_lock.FOLDER, []
    for folder in files.names(root) if files.is_folder(root) else ():
        if files.is_folder(root / folder):
            found += [f"{test_lock.FOLDER}/{folder}/{name}" for name in files.names(root / folder)]
    return [name for name in found if _is_ours(name)]


def _is_ours(name: str) -> bool:
    parts = PurePosixPath(name).parts
    if len(parts) != 3 or parts[0] != test_lock.FOLDER:
        return False
    if parts[1] == test_lock.SEEN:
        return test_lock.SIGHTING.fullmatch(parts[2]) is not None
    is_test = test_lock.TEST.fullmatch(parts[1]) is not None
    return is_test and test_lock.LOOK.fullmatch(parts[2]) is not None
