"""How one run stands: its state, its sessions, and what of it is saved where and proven."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from agnews_cli.core.run.state import RunState
from agnews_cli.core.text import strict_json
from agnews_cli.store.run import leases, parts, runs
from agnews_cli.store.run.events import Events
from agnews_cli.store.run.runs import RunFolder
from agnews_cli.store.transfer import parcels
from agnews_cli.store.transfer.parcels import Parcel
from agnews_cli.store.transfer.receipts import Page, books
from agnews_cli.workflows.runs.history import sessions_of, where, word_for
from agnews_cli.workflows.runs.parts_status import PartLine, lines

SCHEMA = "agnews.status/1"
_TAIL_BYTES = 200_000


@dataclass(frozen=True, slots=True)
class StoreLine:
    """What one store has. `proof`: `local`, `sent` or `verified`; None where it has nothing."""

    store: str
    newest: str | None
    proof: str | None
    pushed_at: str | None
    problem: str | None
    branches: tuple[str, ...]
    """Checkpoints of a session that lost a fork; kept there."""


@dataclass(frozen=True, slots=True)
class Status:
    """`is_running`: a session that lives holds it."""

    run: str
    state: RunState
    is_running: bool
    candidate: str | None
    """The fine-tuning that `step` counts; a run may have several."""
    step: int | None
    total_steps: int | None
    sessions: int
    hours: float
    folder: str
    stores: tuple[StoreLine, ...]
    whole: str | None = None
    """The run that all parts are for; None: it is one run alone."""
    parts: tuple[PartLine, ...] = ()

    @property
    def next(self) -> str:
        """The command that follows; empty while it runs."""
        if self.is_running:
            return ""
        does = "runs show" if self.state == RunState.COMPLETED else "resume"
        return f"agnews {does} {self.word}"

    @property
    def word(self) -> str:
        """What a command takes for this run here."""
        return word_for(RunFolder(Path(self.folder).absolute()))

    def as_json(self) -> dict[str, Any]:
        return {"schema": SCHEMA, **asdict(self)}


def status(run: str, store: Path | None) -> Status:
    """Reads only this machine's files. Raises RunUnknown."""
    folder = runs.find(where(store), run)
    is_running = leases.is_held(folder.path, datetime.now(UTC))
    candidate, step, total_steps = _step(folder)
    state = RunState.RUNNING if is_running else parcels.run_state(folder)
    graph = parts.having(folder)
    sessions, hours = _sessions({folder.id, *parts.runs_of(folder)})
    return Status(
        run=folder.id,
        state=state,
        is_running=is_running,
        candidate=candidate,
        step=step,
        total_steps=total_steps,
        sessions=sessions,
        hours=round(hours, 4),
        folder=str(folder.path),
        stores=(
            _here(folder, candidate),
            *(_there(book.page, candidate) for book in books(folder)),
        ),
        whole=graph[0].id if graph else None,
        parts=lines(*graph, datetime.now(UTC)) if graph else (),
    )


def _here(folder: RunFolder, candidate: str | None) -> StoreLine:

    def age(parcel: Parcel) -> tuple[int, str, bool]:  # steps of two fine-tunings do not compare
        is_at_work = parcel.manifest.candidate == candidate
        return parcel.key.token, parcel.manifest.made_at, is_at_work

    newest = max(parcels.newest_local(folder), key=age, default=None)
    what = f"step {newest.key.step} of {newest.manifest.candidate}" if newest else None
    if newest is None and parcels.run_state(folder) == RunState.COMPLETED:
        what = "the model"
    made_at = newest.manifest.made_at if newest else None
    here = str(folder.path.parent)
    return StoreLine(here, what, "local" if what else None, made_at, None, ())


def _there(page: Page, candidate: str | None) -> StoreLine:
    if any(name.startswith(parcels.DELIVERY) for name in page.parcels):
        name = next(n for n in page.parcels if n.startswith(parcels.DELIVERY))
        what: str | None = "the model"
    else:
        of = [name for name in page.parcels if name.split("/")[1:2] == [candidate]]
        keyed = {parcels.manifest_key(name): name for name in of or page.parcels}
        newest = max((key for key in keyed if key is not None), default=None)
        name = keyed[newest] if newest is not None else ""
        what = f"step {newest.step} of {name.split('/')[1]}" if newest is not None else None
    proof = page.parcels.get(name) if what else None
    return StoreLine(page.address, what, proof, page.pushed_at, page.problem, tuple(page.branches))


def _step(folder: RunFolder) -> tuple[str | None, int | None, int | None]:
    """The fine-tuning that events told of last, its last step, and of how many."""
    candidate = step = total = None
    for event in Events(folder.events, _TAIL_BYTES):
        if event.kind in ("progress", "resumed", "saved") and "step" in event.data:
            name = event.data.get("candidate")
            if isinstance(name, str) and name != candidate:
                candidate, total = name, None
            step = strict_json.whole(event.data["step"])
            total = strict_json.whole(event.data.get("total_steps")) or total
    return candidate, step, total


def _sessions(runs_: set[str]) -> tuple[int, float]:
    """Of a run, or of all that it is made of."""
    found = [session for run in sorted(runs_) for session in sessions_of(run)]
    return len(found), sum(session.seconds for session in found) / 3600
