"""Which stores are meant, which can be seen from here, and what of a run they have."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path, PurePosixPath

from agnews_cli.core.saving.checkpoint import Key
from agnews_cli.errors import AgnewsError
from agnews_cli.store.disk import names
from agnews_cli.store.remotes import address
from agnews_cli.store.remotes.address import Address
from agnews_cli.store.remotes.patience import Patient
from agnews_cli.store.remotes.remote import Remote
from agnews_cli.store.run.runs import RunFolder
from agnews_cli.store.settings import store_settings
from agnews_cli.store.transfer import parcels, pulls

VARIABLE = "AGNEWS_STORE"
_LOOKING_TRIES = 2
_WRONG_CLOCK = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Chosen:
    """The working folder, None for the default one, and the further stores."""

    folder: Path | None = None
    remotes: tuple[str, ...] = ()


def choose(given: Sequence[str], env: Mapping[str, str] = os.environ) -> Chosen:
    """From `--store` options, the environment and the user's file. Raises BadStore, StoresInvalid.

    The first folder is where the run works; everything else is sent to. Each place counts once.
    """
    listed = (part for part in env.get(VARIABLE, "").split(",") if part.strip())
    named = [*given, *listed, *store_settings.load()]
    found: dict[tuple[str, str], Address] = {}
    for one in map(address.parse, named):
        found.setdefault(address.place(one), one)  # two names of one place are no second copy
    folder = next((one for one in found.values() if one.kind == "folder"), None)
    rest = tuple(str(one) for one in found.values() if one != folder)
    return Chosen(names.local(folder.name) if folder else None, rest)


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


def is_further(remote: Remote, run: RunFolder) -> bool:
    """Whether a store has more of a run than there is here: all of it, or more steps."""
    try:
        there = [entry.name.removeprefix(f"{run.id}/") for entry in remote.list(f"{run.id}/")]
    except AgnewsError:
        return False
    here = [path.relative_to(run.path).as_posix() for path in run.checkpoints.glob("*/m-*.json")]
    is_done = any(name.startswith(f"{parcels.DELIVERY}/") for name in there)
    return is_done or _steps(there) > _steps(here)


def _steps(names: Iterable[str]) -> int:
    """Of the newest checkpoint of each fine-tuning, added up."""
    most: dict[str, int] = {}
    for name in map(PurePosixPath, names):
        key = Key.parse(name.name)
        if key is not None and name.parts[0] == "checkpoints":
            most[str(name.parent)] = max(key.step, most.get(str(name.parent), 0))
    return sum(most.values())


def age_of(created_at: str, now: datetime) -> tuple[bool, str]:
    """By which runs are ordered: one that says it is still to come is the newest of none."""
    return datetime.fromisoformat(created_at) <= now + _WRONG_CLOCK, created_at


def bring(remotes: Sequence[Remote], run: RunFolder) -> pulls.Pulled:
    """What is newer of a run in these stores than here."""
    return pulls.pull([Patient(remote) for remote in remotes], run)
