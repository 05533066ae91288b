"""Which stores are meant, which can be seen from here, and what of a run they have."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from agnews_cli.errors import AgnewsError
from agnews_cli.store import pulls, store_settings
from agnews_cli.store.remotes import address
from agnews_cli.store.remotes.address import Address
from agnews_cli.store.remotes.patience import Patient
from agnews_cli.store.remotes.remote import Remote
from agnews_cli.store.runs import RunFolder

VARIABLE = "AGNEWS_STORE"
_LOOKING_TRIES = 2


@dataclass(frozen=True, slots=True)
class Chosen:
    """The working folder, None for the default one, and the further stores."""

    folder: Path | None = None
    remotes: tuple[str, ...] = ()


def choose(given: Sequence[str], env: Mapping[str, str] = os.environ) -> Chosen:
    """From `--store` options, the environment and the user's file. Raises BadStore, StoresInvalid.

    The first folder is where the run works; everything else is sent to.
    """
    listed = (part for part in env.get(VARIABLE, "").split(",") if part.strip())
    named = [*given, *listed, *store_settings.load()]
    found: list[Address] = []
    for text in named:
        one = address.parse(text)
        if one not in found:
            found.append(one)
    folder = next((one for one in found if one.kind == "folder"), None)
    rest = tuple(str(one) for one in found if one != folder)
    return Chosen(Path(folder.name) if folder else None, rest)


def connect(remotes: Iterable[str]) -> tuple[Remote, ...]:
    """Each store, not yet asked anything. Raises BadStore, ClientMissing or DriveNotMounted."""
    return tuple(address.connect(address.parse(one)) for one in remotes)


def visible(named: Sequence[str]) -> tuple[Remote, ...]:
    """Stores that nobody named and that can be seen all the same."""
    from agnews_cli.store.remotes import drive, kaggle

    found: list[Remote] = list(kaggle.inputs())
    default = str(address.parse(address.DRIVE))
    if drive.is_mounted() and not any(name.startswith(f"{address.DRIVE}:") for name in named):
        found.append(address.connect(address.parse(default)))
    return tuple(found)


def found_in(
    remotes: Sequence[Remote], work: Path
) -> tuple[tuple[pulls.Seen, ...], tuple[str, ...]]:
    """Every run in these stores; and why a store could not be looked into."""
    seen: list[pulls.Seen] = []
    problems: list[str] = []
    for remote in remotes:
        try:
            seen += pulls.seen(Patient(remote, tries=_LOOKING_TRIES), work)
        except AgnewsError as error:
            problems.append(error.message)
    return tuple(seen), tuple(problems)


def bring(remotes: Sequence[Remote], run: RunFolder) -> pulls.Pulled:
    """What is newer of a run in these stores than here."""
    return pulls.pull([Patient(remote) for remote in remotes], run)
