"""What travels between a run's folder and a store: checkpoints, the delivered model, small records.

A *parcel* is some blobs and the manifest that makes them one thing: a checkpoint, or what the run
delivers. It is sent blobs first, manifest last, and read back where that proves something. Where a
store is bad at many small objects the blobs travel as one *bundle*: their bytes one after the other
in the order of their SHA-256, so that there is no archive format to be fooled by.

The *record* of a run is one small object that names itself by its hash: what was asked for, the
preset, and how the run stands.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from agnews_cli.core.graph import asked
from agnews_cli.core.run.state import ENDED, RunState
from agnews_cli.core.saving.checkpoint import Blob, Key, Manifest
from agnews_cli.core.text import strict_json
from agnews_cli.core.text.redaction import redact_prose
from agnews_cli.errors import AgnewsError, CheckpointDamaged, StoreBusy, StoreTrouble
from agnews_cli.store.disk import files
from agnews_cli.store.disk.files import write_text_atomically
from agnews_cli.store.disk.space import require_space
from agnews_cli.store.remotes.folder import pieces
from agnews_cli.store.remotes.remote import Entry, Remote, is_name
from agnews_cli.store.run import events, tracked
from agnews_cli.store.run.checkpoints import Checkpoints, manifest_of, require_owner
from agnews_cli.store.run.runs import SAVE_NOW, RunFolder
from agnews_cli.store.settings import preset_shapes
from agnews_cli.store.settings.secrets import hidden, known

State = Literal["sent", "verified"]
DELIVERY = "delivery"
_MOST_MANIFEST_BYTES = 4_000_000
_MOST_RECORD_BYTES = 8_000_000
_FEW_PARAMETERS = 100_000_000
_MOST_OTHER_BYTES = 4 << 30
"""Predictions, a linear model, token counts."""
_MOST_EVENTS_BYTES = _MOST_FILE_BYTES = 1_000_000
_EVENTS = "events.jsonl"
_RECORDED = (
    *("created.json", "preset.yaml", "whole.yaml"),
    "environment.json",
    "outcome.json",
    "evaluation.json",
    "delivery.json",
    "guards.json",
    "line.json",
    tracked.NAME,
    _EVENTS,
)
_LINE = "line.json"
_OWN = {"checkpoints", "leases", "stores", SAVE_NOW, _LINE, tracked.NAME, tracked.LOG}
_ASKED = {"created.json", "preset.yaml", "whole.yaml"}
"""What was asked for: a delivery does not change it."""
_CODE = {
    *(".py", ".pyc", ".so", ".dll", ".sh", ".exe"),
    *(".pkl", ".pickle", ".joblib", ".pt", ".pth", ".bin", ".ckpt", ".npy", ".npz"),
}
"""Endings of code, and of forms that run code when they are opened; no run delivers such files."""
_NOT_DELIVERED = {"job.json", "test.json", "worker.log", "accelerate.yaml", "trace.jsonl"}


@dataclass(frozen=True, slots=True)
class Parcel:
    """A manifest's bytes, and where on this machine each blob's content lies (by SHA-256)."""

    folder: str
    """Within the run: `checkpoints/NAME` or `delivery`."""
    key: Key
    data: bytes
    manifest: Manifest
    sources: Mapping[str, Path]

    @property
    def name(self) -> str:
        """Of the manifest, within the run."""
        return f"{self.folder}/{self.key.id}.json"

    @property
    def blobs(self) -> tuple[Blob, ...]:
        """Each once, in the order of their SHA-256: a bundle's order."""
        return unique(self.manifest)


def most_bytes(run: RunFolder) -> int:
    """More than any checkpoint or delivery of this run has: a store may claim anything."""
    each: list[int] = []
    with suppress(AgnewsError):
        if run.has("preset.yaml"):
            shape = preset_shapes.load(str(run.preset))
            each += [8 * _FEW_PARAMETERS for _ in asked.runs_in(shape)]
            for one in asked.each(shape):
                cycles, parameters = one.preset.training.cycles, one.preset.model.parameters
                each.append((8 + cycles) * max(parameters, _FEW_PARAMETERS))
    # Weights, best weights, average, a teacher's, two moments, snapshots: of four bytes each.
    return 4 * sum(each or [8 * _FEW_PARAMETERS]) + _MOST_OTHER_BYTES


def unique(manifest: Manifest) -> tuple[Blob, ...]:
    """Its blobs, each once, in the order of their SHA-256."""
    return tuple(sorted(set(manifest.blobs.values()), key=lambda blob: blob.sha256))


# ---- what a run's folder has to send ------------------------------------------------------------


def newest_local(run: RunFolder) -> tuple[Parcel, ...]:
    """Of each fine-tuning the newest checkpoint whose manifest can be read."""
    found = []
    for folder in run.fine_tunings():
        for key in Checkpoints(folder, owner=(run.id, folder.name)).keys():  # noqa: SIM118
            with suppress(CheckpointDamaged):
                path = folder / f"{key.id}.json"
                data = files.read_small(path, _MOST_MANIFEST_BYTES)
                manifest = manifest_of(key, data, path)
                require_owner(manifest, run.id, folder.name, path)
                sources = {b.sha256: folder / "blobs" / b.sha256 for b in unique(manifest)}
                found.append(Parcel(f"checkpoints/{folder.name}", key, data, manifest, sources))
                break
    return tuple(found)


def known_line(run: RunFolder) -> dict[str, tuple[Key, ...]]:
    """What sessions of this run went on from, by folder of checkpoints."""
    try:
        found = strict_json.mapping(files.read_plain(run.path / _LINE, _MOST_MANIFEST_BYTES))
        return {
            folder: tuple(key for id_ in ids if (key := Key.parse(f"{id_}.json")) is not None)
            for folder, ids in found.items()
        }
    except (OSError, ValueError, TypeError):
        return {}


def note_line(run: RunFolder) -> None:
    """A session begins: note what it goes on from."""
    found = {folder: [key.id for key in keys] for folder, keys in known_line(run).items()}
    for parcel in newest_local(run):
        for id_ in (parcel.manifest.parent, parcel.key.id):
            if id_ is not None and id_ not in found.setdefault(parcel.folder, []):
                found[parcel.folder].append(id_)
    if found:
        write_text_atomically(run.path / _LINE, json.dumps(found, indent=1))


def delivery(run: RunFolder, *, token: int, writer: str) -> Parcel | None:
    """Everything that a completed run delivers; None before it is completed."""
    if run_state(run) != RunState.COMPLETED:
        return None
    paths: dict[str, Path] = {}
    for path in sorted(run.path.rglob("*")):
        name = path.relative_to(run.path).as_posix()
        is_own = PurePosixPath(name).parts[0] in _OWN or name in _NOT_DELIVERED
        if not is_own and is_name(name) and run.has(name):
            paths[name] = path
    for name in _not_deliverable(paths, run):  # what somebody put there
        del paths[name]
    blobs: dict[str, Blob] = {}
    names: dict[str, str] = {}
    sources: dict[str, Path] = {}
    for number, (name, path) in enumerate(paths.items()):
        with files.plain(path) as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        blobs[f"f{number:04d}"] = Blob(sha256=digest, size_bytes=path.stat().st_size)
        names[f"f{number:04d}"] = name
        sources[digest] = path
    manifest = Manifest(
        run=run.id,
        candidate=DELIVERY,
        step=0,
        token=token,
        writer=writer,
        made_at=made_at.isoformat() if (made_at := run.created_at()) else "",
        why="final",
        blobs=blobs,
        state={"files": names},
        fingerprint={},
    )
    data = manifest.model_dump_json(by_alias=True, indent=1).encode()
    key = Key(token, 0, hashlib.sha256(data).hexdigest()[:16], writer)
    return Parcel(DELIVERY, key, data, manifest, sources)


def record(run: RunFolder, *, token: int, number: int, writer: str) -> tuple[str, bytes]:
    """(name within the run, content) of the run's record as it stands."""
    texts: dict[str, str] = {}
    for name in _RECORDED:
        with suppress(OSError, UnicodeDecodeError):
            if name != _EVENTS:
                # It is asked for and read back: nothing in it may be hidden.
                texts[name] = files.read_plain(run.path / name, _MOST_FILE_BYTES).decode("utf-8")
            elif told := _told(run.events):
                texts[name] = told
    facts = {"schema": "agnews.record/1", "run": run.id, "writer": writer, "files": texts}
    data = json.dumps(facts, ensure_ascii=False, sort_keys=True).encode()
    digest = hashlib.sha256(data).hexdigest()[:16]
    return f"records/r-{token:06d}-{number:09d}-{writer}-{digest}.json", data


def _told(path: Path) -> str:
    """The last events, their prose without secrets, whoever wrote them."""
    found = []
    for line in events.lines(path, _MOST_EVENTS_BYTES):
        try:
            found.append(
                json.dumps(redact_prose(strict_json.parse(line), known()), ensure_ascii=False)
            )
        except ValueError:
            found.append(hidden(line.decode("utf-8", "replace").strip()))
    return "".join(f"{line}\n" for line in found)


def manifest_key(name: str) -> Key | None:
    """Of a manifest's name; None for any other."""
    return Key.parse(PurePosixPath(name).name)


def record_key(name: str) -> Key | None:
    """The order of records by their names, like that of checkpoints."""
    file = PurePosixPath(name).name
    return Key.parse(f"m{file[1:]}") if file.startswith("r-") else None


def run_state(run: RunFolder) -> RunState:
    """How its outcome says it stands; `unfinished` without one."""
    try:
        return state_of(strict_json.mapping(files.read_plain(run.outcome, _MOST_FILE_BYTES)))
    except (OSError, ValueError):
        return RunState.UNFINISHED


def state_of(outcome: Mapping[str, Any]) -> RunState:
    """What an outcome's record says; `unfinished` where it says nothing that we know."""
    said = outcome.get("state")
    return next((state for state in ENDED if state == said), RunState.UNFINISHED)


# ---- sending ------------------------------------------------------------------------------------


def send(
    remote: Remote,
    run: str,
    parcel: Parcel,
    present: Mapping[str, Entry],
    proven: set[str],
    work: Path,
) -> State:
    """Send what is not `present` of a parcel, the manifest last; what is proven then.

    `proven`: objects that were read back before, grows by those of this parcel. They are not sent
    again though a list lacks them: lists may be late.

    Raises StoreTrouble, or CheckpointDamaged where what was read back is not what was sent.
    """
    promises = remote.promises
    base = f"{run}/{parcel.folder}"
    sent: list[tuple[str, tuple[Blob, ...]]] = []
    with _scratch(work) as bundle:
        if promises.is_bundled:
            name = f"{base}/{parcel.key.id}.{secrets.token_hex(4)}.bundle"
            parts = (piece for b in parcel.blobs for piece in pieces(parcel.sources[b.sha256]))
            files.write_new(bundle, parts)
            remote.put(name, bundle)
            sent.append((name, parcel.blobs))
        else:
            for blob in parcel.blobs:
                name = f"{base}/blobs/{blob.sha256}"
                if name in proven:
                    continue
                there = present.get(name)
                if there is None or there.size_bytes != blob.size_bytes:
                    remote.put(name, parcel.sources[blob.sha256])
                sent.append((name, (blob,)))
        if not promises.is_atomic:
            remote.flush()
            _prove(remote, sent, proven, work)
        with _scratch(work) as manifest:
            files.write_new(manifest, [parcel.data])
            remote.put(f"{run}/{parcel.name}", manifest)
            remote.flush()
    digest = hashlib.sha256(parcel.data).hexdigest()
    whole = (f"{run}/{parcel.name}", (Blob(sha256=digest, size_bytes=len(parcel.data)),))
    _prove(remote, [*sent, whole] if promises.is_atomic else [whole], proven, work)
    return "verified" if promises.proves else "sent"


def _prove(
    remote: Remote,
    sent: Sequence[tuple[str, tuple[Blob, ...]]],
    proven: set[str],
    work: Path,
) -> None:
    if not remote.promises.proves:
        return
    for name, blobs in sent:
        with _scratch(work) as copy:
            remote.get(name, copy, _sum_bytes(blobs))
            for _ in _cut(copy, blobs, name):
                pass
        proven.add(name)


# ---- fetching -----------------------------------------------------------------------------------


def read_small(remote: Remote, name: str, work: Path, most_bytes: int) -> bytes:
    """A small object's bytes. Raises NotInStore, StoreTrouble or CheckpointDamaged."""
    with _scratch(work) as copy:
        remote.get(name, copy, most_bytes)
        return files.read_small(copy, most_bytes)


def read_manifest(remote: Remote, name: str, work: Path) -> tuple[bytes, Manifest]:
    """A manifest, verified against its name. Raises like `read_small`."""
    key = Key.parse(PurePosixPath(name).name)
    if key is None:
        raise CheckpointDamaged(path=name, reason="has no manifest's name")
    data = read_small(remote, name, work, _MOST_MANIFEST_BYTES)
    return data, manifest_of(key, data, Path(name))


def read_record(remote: Remote, name: str, work: Path) -> dict[str, str]:
    """The files, by name, of a record whose object is `RUN/records/…`. Raises like `read_small`."""
    key = record_key(name)
    data = read_small(remote, name, work, _MOST_RECORD_BYTES)
    if key is None or hashlib.sha256(data).hexdigest()[:16] != key.digest:
        raise CheckpointDamaged(path=name, reason="is changed: its SHA-256 differs")
    try:
        facts = strict_json.mapping(data)
        run, found = facts["run"], facts["files"]
    except (ValueError, KeyError) as error:
        raise CheckpointDamaged(path=name, reason="is no record") from error
    is_sound = isinstance(found, dict) and all(
        name in _RECORDED and isinstance(text, str) for name, text in found.items()
    )
    if not is_sound:
        raise CheckpointDamaged(path=name, reason="is no record")
    if run != name.partition("/")[0]:
        raise CheckpointDamaged(path=name, reason=f"is a record of another run, {str(run)[:80]!r}")
    return dict(found)


def fetch(
    remote: Remote,
    name: str,
    present: Mapping[str, Entry],
    target: Path,
    work: Path,
    most_bytes: int,
) -> Manifest:
    """Bring the parcel whose manifest is the object `name` into the folder `target`, manifest last.

    Every byte is verified before it is there under its name; what is there whole is not fetched.
    Raises StoreTrouble or CheckpointDamaged, also where it is another run's or claims more than
    `most_bytes`, or NoDiskSpace; `target` then has at most blobs without a manifest.
    """
    data, manifest = read_manifest(remote, name, work)
    owner = PurePosixPath(name).parts  # RUN/checkpoints/CANDIDATE/… or RUN/delivery/…
    require_owner(manifest, owner[0], owner[-2], Path(name))
    base, blobs = str(PurePosixPath(name).parent), unique(manifest)
    size_bytes = _sum_bytes(blobs)
    if size_bytes > most_bytes:
        reason = f"claims {size_bytes} bytes, more than the {most_bytes} that such a run can have"
        raise CheckpointDamaged(path=name, reason=reason)
    missing = [blob for blob in blobs if not _is_there(target / "blobs", blob)]
    require_space(target, _sum_bytes(missing))
    stem = name.removesuffix(".json")
    bundles = [
        entry.name
        for entry in present.values()
        if entry.name.startswith(f"{stem}.") and entry.name.endswith(".bundle")
    ]
    if missing and bundles:
        _fetch_bundle(remote, sorted(bundles), blobs, size_bytes, target, work)
    else:
        for blob in missing:
            with _scratch(work) as copy:
                remote.get(f"{base}/blobs/{blob.sha256}", copy, blob.size_bytes)
                for _, part in _cut(copy, (blob,), f"{base}/blobs/{blob.sha256}"):
                    files.write_new(target / "blobs" / blob.sha256, part)
    files.write_new(target / PurePosixPath(name).name, [data])
    return manifest


def _fetch_bundle(
    remote: Remote,
    bundles: Sequence[str],
    blobs: tuple[Blob, ...],
    size_bytes: int,
    target: Path,
    work: Path,
) -> None:
    last: AgnewsError | None = None
    for name in bundles:  # of several tries to send it, one may be whole
        with _scratch(work) as copy:
            try:
                remote.get(name, copy, size_bytes)
                for _ in _cut(copy, blobs, name):
                    pass
            except (StoreTrouble, CheckpointDamaged) as error:
                if isinstance(error, StoreBusy):
                    raise
                last = error
                continue
            for blob, part in _cut(copy, blobs, name):
                files.write_new(target / "blobs" / blob.sha256, part)
            return
    assert last is not None
    raise last


def unpack_delivery(manifest: Manifest, source: Path, run: RunFolder) -> None:
    """Put what a run delivered in its place, the outcome last. Raises CheckpointDamaged.

    Nothing is written unless all of it may be. What the run's record says of the run stays.
    """
    named = manifest.state.get("files")
    if not isinstance(named, dict) or set(named) != set(manifest.blobs):
        raise CheckpointDamaged(path=source, reason="does not name its files")
    names = {str(name): manifest.blobs[blob] for blob, name in named.items()}
    if len(names) != len(named):
        raise CheckpointDamaged(path=source, reason="names a file twice")
    for name, why in _not_deliverable(names, run).items():
        raise CheckpointDamaged(path=source, reason=f"names a file {why}: {name!r:.300}")
    if "outcome.json" not in names:
        raise CheckpointDamaged(path=source, reason="has no outcome")
    for name, blob in sorted(names.items(), key=lambda pair: pair[0] == "outcome.json"):
        if name in _ASKED and run.has(name):
            continue
        for _, part in _cut(source / "blobs" / blob.sha256, (blob,), f"{source}/{name}"):
            files.write_new(run.path / name, part)


def _not_deliverable(names: Iterable[str], run: RunFolder) -> dict[str, str]:
    """What is wrong with the names of delivered files; nothing of those that are sound."""
    # Some file systems do not tell A from a.
    folded = {name: PurePosixPath(name.casefold()) for name in names}
    count = Counter(folded.values())
    folders = {folder for path in count for folder in path.parents}
    wrong: dict[str, str] = {}
    for name, path in folded.items():
        if not is_name(name) or path.parts[0] in _OWN or str(path) in _NOT_DELIVERED:
            wrong[name] = "that is not allowed"
        elif path.suffix in _CODE:
            wrong[name] = "that could hold code"
        elif count[path] > 1 or path in folders:
            wrong[name] = "that is another's name or folder"
        elif _has_link(run.path, name) or (run.path / name).is_dir():
            wrong[name] = "whose place is taken"
    return wrong


def _sum_bytes(blobs: Sequence[Blob]) -> int:
    return sum(blob.size_bytes for blob in blobs)


def _is_there(folder: Path, blob: Blob) -> bool:
    try:
        files.check(folder / blob.sha256, blob.size_bytes, blob.sha256)
    except CheckpointDamaged:
        return False
    return True


def _has_link(root: Path, name: str) -> bool:
    path = root
    for part in PurePosixPath(name).parts:
        path = path / part
        if path.is_symlink():
            return True
    return False


def _cut(path: Path, blobs: Sequence[Blob], name: str) -> Iterator[tuple[Blob, Iterator[bytes]]]:
    """Each blob's part of a file. Raises CheckpointDamaged unless every byte is right."""
    found, expected = path.stat().st_size, sum(blob.size_bytes for blob in blobs)
    if found != expected:
        how = "truncated" if found < expected else "too long"
        reason = f"is {how}: {found} bytes instead of {expected}"
        raise CheckpointDamaged(path=name, reason=reason)
    at = 0
    for blob in blobs:
        digest = hashlib.sha256()
        for part in _section(path, at, blob.size_bytes):
            digest.update(part)
        if digest.hexdigest() != blob.sha256:
            raise CheckpointDamaged(path=name, reason="is changed: its SHA-256 differs")
        yield blob, _section(path, at, blob.size_bytes)
        at += blob.size_bytes


def _section(path: Path, at: int, size_bytes: int) -> Iterator[bytes]:
    with path.open("rb") as file:
        file.seek(at)
        while size_bytes:
            part = file.read(min(size_bytes, 1 << 22))
            if not part:
                return
            size_bytes -= len(part)
            yield part


@contextmanager
def _scratch(work: Path) -> Iterator[Path]:
    """A path for a file that is gone afterwards."""
    work.mkdir(parents=True, exist_ok=True)
    path = work / secrets.token_hex(8)
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def facts_of(text: str) -> dict[str, Any]:
    """A JSON object, empty where it is none."""
    try:
        return strict_json.mapping(text)
    except ValueError:
        return {}
