"""What comes back from stores: which runs they have, and the newest of one that verifies.

Stores are untrusted: every byte is verified before it is there under its name, and what does not
verify is passed over with its reason, down to the newest that does.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath

from agnews_cli.core.run.state import RunState
from agnews_cli.core.saving import fencing
from agnews_cli.core.saving.checkpoint import Key
from agnews_cli.errors import AgnewsError, CheckpointDamaged, StoreTrouble
from agnews_cli.store.disk import files
from agnews_cli.store.remotes.remote import Entry, Remote
from agnews_cli.store.run.runs import RunFolder
from agnews_cli.store.settings import strict_yaml
from agnews_cli.store.transfer import claims, parcels
from agnews_cli.store.transfer.claims import LeaseSign
from agnews_cli.store.transfer.parcels import DELIVERY
from agnews_cli.store.transfer.receipts import Book

_CHECKPOINTS = re.compile(r"checkpoints/[^/]+")
_YAML = ("preset.yaml", "whole.yaml")
_PLAIN = ("created.json", *_YAML)
_MOST_TRIED = 20
"""Records of one run that are looked into: two are kept."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A run as a store shows it."""

    run: str
    remote: Remote
    created_at: str
    state: RunState
    newest: Key | None
    """Its newest checkpoint, not yet verified."""
    files: Mapping[str, str]
    """Small files of its record, by name."""


@dataclass(frozen=True, slots=True)
class Pulled:
    """What came, `NAME/checkpoint`, from which store; and what was passed over, with the reason."""

    parcels: tuple[tuple[str, str], ...] = ()
    skipped: tuple[tuple[str, str], ...] = ()


def seen(remote: Remote, work: Path, run: str | None = None) -> tuple[Seen, ...]:
    """The runs in a store, or `run` alone. Raises StoreTrouble."""
    by_run: dict[str, list[Entry]] = {}
    for entry in remote.list("" if run is None else f"{run}/"):
        name, slash, _ = entry.name.partition("/")
        if slash:
            by_run.setdefault(name, []).append(entry)
    found = []
    for name, entries in sorted(by_run.items()):
        newest = fencing.newest(_token(entry.name) for entry in entries)
        entries = [e for e in entries if _token(e.name) <= newest]
        keys = [key for e in entries if (key := _checkpoint_key(e.name)) is not None]
        texts = _newest_record(remote, entries, work)
        if not _is_sound(texts):
            continue
        created = parcels.facts_of(texts["created.json"])
        state = parcels.state_of(parcels.facts_of(texts.get("outcome.json", "")))
        found.append(
            Seen(name, remote, str(created["created_at"]), state, max(keys, default=None), texts)
        )
    return tuple(found)


def unpack_record(seen: Seen, store: Path) -> RunFolder:
    """Make the run's folder what its record says, so that it can be asked for again."""
    folder = RunFolder(store.absolute() / seen.run)
    folder.path.mkdir(parents=True, exist_ok=True)
    for name in ("events.jsonl", "line.json", *reversed(_PLAIN)):
        if name in seen.files and not (folder.path / name).exists():
            files.write_text_atomically(folder.path / name, seen.files[name])
    return folder


def pull(remotes: Iterable[Remote], run: RunFolder) -> Pulled:
    """Bring what is newer in `remotes` than in the run's folder, the newest that verifies.

    Of every fine-tuning one checkpoint, or what a completed run delivers. A store that fails is
    passed over with its reason. Raises LinkInRun, CannotWrite or NoDiskSpace.
    """
    run.require_plain()
    work = run.path / "stores" / "work-pull"
    offers: dict[str, list[tuple[Key, str, Remote, Mapping[str, Entry]]]] = {}
    came: list[tuple[str, str]] = []
    skipped: list[tuple[str, str]] = []
    for remote in remotes:
        try:
            entries = remote.list(f"{run.id}/")
        except AgnewsError as error:
            skipped.append((remote.address, error.message))
            continue
        present: Mapping[str, Entry] = {entry.name: entry for entry in entries}
        if (bad := claims.passed_over(entries)) is not None:
            skipped.append((f"{bad[0]} in {remote.address}", bad[1]))
        newest = claims.newest_token(entries)
        for name in present:
            folder = str(PurePosixPath(name).parent).removeprefix(f"{run.id}/")
            key = Key.parse(PurePosixPath(name).name)
            is_ours = folder == DELIVERY or _CHECKPOINTS.fullmatch(folder)
            if key is not None and key.token <= newest and is_ours:
                offers.setdefault(folder, []).append((key, name, remote, present))
    try:
        is_delivered = False
        for folder, offered in sorted(offers.items(), key=lambda pair: pair[0] != DELIVERY):
            if folder == DELIVERY and parcels.run_state(run) == RunState.COMPLETED:
                continue
            if is_delivered:
                break
            target = run.path / "stores" / DELIVERY if folder == DELIVERY else run.path / folder
            for key, name, remote, present in sorted(
                offered, key=lambda offer: (offer[0], offer[2].address), reverse=True
            ):
                if folder != DELIVERY and not _is_newer(key, run, target):
                    break
                try:
                    manifest = parcels.fetch(
                        remote, name, present, target, work, parcels.most_bytes(run)
                    )
                    if folder == DELIVERY:
                        parcels.unpack_delivery(manifest, target, run)
                        is_delivered = True
                except (StoreTrouble, CheckpointDamaged) as error:
                    skipped.append((f"{folder}/{key.id} in {remote.address}", error.message))
                    continue
                came.append((f"{folder}/{key.id}", remote.address))
                if not remote.promises.is_read_only:  # read by a machine that never wrote it
                    Book.of(run, remote.address).note(f"{folder}/{key.id}.json", "verified")
                break
    finally:
        shutil.rmtree(work, ignore_errors=True)
        shutil.rmtree(run.path / "stores" / DELIVERY, ignore_errors=True)
    return Pulled(tuple(came), tuple(skipped))


def _is_newer(key: Key, run: RunFolder, folder: Path) -> bool:
    """Whether nothing whole here is as new."""
    from agnews_cli.store.run.checkpoints import Checkpoints

    here, _ = Checkpoints(
        folder, owner=(run.id, folder.name), most_bytes=parcels.most_bytes(run)
    ).newest()
    return here is None or here.key < key


def _checkpoint_key(name: str) -> Key | None:
    return Key.parse(PurePosixPath(name).name) if "/checkpoints/" in name else None


def _token(name: str) -> int:
    """The fencing number in an object's name; 0 for one without."""
    key = Key.parse(PurePosixPath(name).name) or parcels.record_key(name) or LeaseSign.parse(name)
    return key.token if key is not None else 0


def _is_sound(texts: Mapping[str, str]) -> bool:
    """Whether a run can be made of it: when it began, and what was asked for, as YAML."""
    created = parcels.facts_of(texts.get("created.json", ""))
    if not _is_moment(created.get("created_at")) or "preset.yaml" not in texts:
        return False
    try:
        for name in _YAML:
            strict_yaml.Document.parse(texts.get(name, ""))
    except (strict_yaml.Refused, RecursionError):
        return False
    return True


def _is_moment(found: object) -> bool:
    try:
        moment = datetime.fromisoformat(str(found))
    except ValueError:
        return False
    return moment.tzinfo is not None and 1970 <= moment.year < 3000


def _newest_record(remote: Remote, entries: Iterable[Entry], work: Path) -> dict[str, str]:
    keyed = [(key, e.name) for e in entries if (key := parcels.record_key(e.name)) is not None]
    for _, name in sorted(keyed, reverse=True)[:_MOST_TRIED]:
        with suppress(StoreTrouble, CheckpointDamaged):
            if _is_sound(texts := parcels.read_record(remote, name, work)):
                return texts
    texts = {}
    for entry in entries:  # a run's own folder, such as a finished notebook's output
        name = entry.name.partition("/")[2]
        if name in (*_PLAIN, "outcome.json"):
            with suppress(StoreTrouble, CheckpointDamaged, UnicodeDecodeError):
                data = parcels.read_small(remote, entry.name, work, 1_000_000)
                texts[name] = data.decode("utf-8")
    return texts
