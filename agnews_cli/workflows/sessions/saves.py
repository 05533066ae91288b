"""What is saved of a run, here and in further stores."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from agnews_cli.core.run.state import RunState
from agnews_cli.core.text import strict_json
from agnews_cli.errors import (
    AgnewsError,
    BadStore,
    NotAnswered,
    NothingToPull,
    NotRunning,
)
from agnews_cli.host import launch
from agnews_cli.store.disk import files
from agnews_cli.store.remotes.patience import Patient
from agnews_cli.store.run import leases, runs
from agnews_cli.store.run.checkpoints import Checkpoints
from agnews_cli.store.run.events import Tail
from agnews_cli.store.transfer import parcels
from agnews_cli.store.transfer.pulls import Pulled, unpack_record
from agnews_cli.store.transfer.sync import Sync
from agnews_cli.workflows.runs import stores
from agnews_cli.workflows.runs.history import where, word_for
from agnews_cli.workflows.runs.status import status
from agnews_cli.workflows.sessions.couriers import fencing_floor

_POLL_S = 0.1


@dataclass(frozen=True, slots=True)
class CheckpointLine:
    """One checkpoint. `size_bytes`: all it needs; blobs may be shared with others."""

    id: str
    candidate: str
    step: int
    size_bytes: int
    made_at: str
    why: str

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def checkpoints(run: str, store: Path | None) -> tuple[CheckpointLine, ...]:
    """Of all the run's fine-tunings, each one's newest first. Raises RunUnknown."""
    return tuple(
        CheckpointLine(
            id=saved.id,
            candidate=saved.manifest.candidate,
            step=saved.manifest.step,
            size_bytes=sum(blob.size_bytes for blob in saved.manifest.blobs.values()),
            made_at=saved.manifest.made_at,
            why=saved.manifest.why,
        )
        for place in _places(run, store)
        for saved in place.all()
    )


def why_none(run: str, store: Path | None) -> str:
    """For a run without checkpoints: why, and the command that follows. Raises RunUnknown."""
    found = status(run, store)
    if found.state == RunState.COMPLETED:
        return f"{found.run} is finished and keeps no checkpoints. Its result: {found.next}"
    if found.is_running:
        ask = f"agnews checkpoints save-now {found.word}"
        return f"{found.run} is running, and nothing is saved yet. To have it saved now: {ask}"
    return f"Nothing is saved of {found.run}; it begins anew with: {found.next}"


def verified(run: str, store: Path | None) -> tuple[tuple[str, str | None], ...]:
    """(id, None or what is wrong) of each checkpoint, every byte read. Raises RunUnknown."""
    return tuple(line for place in _places(run, store) for line in place.verify())


def pruned(run: str, store: Path | None, *, keep: int) -> tuple[str, ...]:
    """Ids of what was removed.

    Raises RunUnknown, RunBusy (being trained), LinkInRun or CannotWrite.
    """
    places, folder = _places(run, store), runs.find(where(store), run)
    folder.require_plain()
    now = datetime.now(UTC)
    if not leases.is_held(folder.path, now) and (alive := launch.left_behind(folder.job)):
        # A claim would refuse it the last save.
        who = f"process {alive[0].pid}, which saves and ends as its command was killed"
        raise leases.busy(folder.path, who, now.isoformat(timespec="seconds"))
    lease = leases.claim(folder.path, now)
    try:
        return tuple(id_ for place in places for id_ in place.prune(keep=keep))
    finally:
        lease.release(datetime.now(UTC))


@dataclass(frozen=True, slots=True)
class SavedOnRequest:
    """What a running job saved on request."""

    run: str
    step: int
    seconds: float

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def save_now(run: str, store: Path | None, *, wait_s: float) -> SavedOnRequest:
    """Ask the job that trains `run` for a checkpoint, and wait for it.

    Raises RunUnknown, NotRunning, or NotAnswered after `wait_s`.
    """
    folder = runs.find(where(store), run)
    if not leases.is_held(folder.path, datetime.now(UTC)):
        raise NotRunning(run=word_for(folder))
    tail = Tail(folder.events, is_new=True)
    request = folder.path / runs.SAVE_NOW
    files.write_text_atomically(request, datetime.now(UTC).isoformat())
    give_up_s = time.monotonic() + wait_s
    while time.monotonic() < give_up_s:
        for event in tail.read():
            step = strict_json.whole(event.data.get("step"))
            if event.kind == "saved" and event.data.get("why") != "interval" and step is not None:
                return SavedOnRequest(folder.id, step, float(event.data.get("seconds") or 0.0))
        time.sleep(_POLL_S)
    request.unlink(missing_ok=True)
    raise NotAnswered(run=word_for(folder), seconds=wait_s)


@dataclass(frozen=True, slots=True)
class Sent:
    """What a store has of a run after a push. `problem` is None where all is there."""

    store: str
    parcels: dict[str, str]
    """`sent` or `verified`, by checkpoint."""
    problem: str | None

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def push(run: str, store: Path | None, remotes: Sequence[str]) -> tuple[Sent, ...]:
    """Send the newest of a run to `remotes`; one that fails does not stop the others.

    Raises RunUnknown, RunBusy (it is being trained, and sent by that session), BadStore, LinkInRun.
    """
    folder = runs.find(where(store), run)
    folder.require_plain()
    connected = stores.connect(remotes)
    if not connected:
        raise BadStore(given="", reason="name one to push to")
    floor, _ = fencing_floor(connected, folder, datetime.now(UTC), takeover=False)
    lease = leases.claim(folder.path, datetime.now(UTC), above=floor)
    found = []
    try:
        for remote in connected:
            sync = Sync(Patient(remote), folder, token=lease.token, writer=lease.writer)
            problem = None
            try:
                sync.push()
                sync.release()
            except AgnewsError as error:
                problem = error.message
                sync.book.failed(problem)
            found.append(Sent(remote.address, dict(sync.book.page.parcels), problem))
    finally:
        lease.release(datetime.now(UTC))
    return tuple(found)


def pull(run: str | None, store: Path | None, remotes: Sequence[str]) -> tuple[str, Pulled]:
    """Bring a run, or the newest one, from `remotes` and what can be seen from here.

    Raises RunUnknown, RunBusy (it is being trained here) or NothingToPull.
    """
    connected = [*stores.connect(remotes), *stores.visible(remotes)]
    with tempfile.TemporaryDirectory(prefix="agnews-look-") as work:
        seen, problems = stores.found_in(connected, Path(work))
    now = datetime.now(UTC)
    named = sorted(
        (one for one in seen if run in (None, runs.LATEST) or one.run.startswith(run or "")),
        key=lambda one: (stores.age_of(one.created_at, now), one.run),
        reverse=True,
    )
    if not named:
        reasons = "; ".join(problems) or "none of them has it"
        raise NothingToPull(run=run or "any run", reasons=reasons)
    folder = unpack_record(named[0], where(store))
    if leases.is_held(folder.path, datetime.now(UTC)):
        raise leases.busy(folder.path, "a session on this machine", "now")
    having = [one.remote for one in named if one.run == folder.id]
    pulled = stores.bring(having, folder)
    if not pulled.parcels and pulled.skipped:
        reasons = "; ".join(f"{what}: {why}" for what, why in pulled.skipped)
        raise NothingToPull(run=folder.id, reasons=reasons)
    return folder.id, pulled


def _places(run: str, store: Path | None) -> tuple[Checkpoints, ...]:
    folder = runs.find(where(store), run)
    most_bytes = parcels.most_bytes(folder)
    return tuple(
        Checkpoints(path, owner=(folder.id, path.name), most_bytes=most_bytes)
        for path in folder.fine_tunings()
    )
