"""What is saved of a run."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from agnews_cli.store import leases, runs
from agnews_cli.store.checkpoints import Checkpoints
from agnews_cli.workflows.history import where


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


def verified(run: str, store: Path | None) -> tuple[tuple[str, str | None], ...]:
    """(id, None or what is wrong) of each checkpoint, every byte read. Raises RunUnknown."""
    return tuple(line for place in _places(run, store) for line in place.verify())


def pruned(run: str, store: Path | None, *, keep: int) -> tuple[str, ...]:
    """Ids of what was removed. Raises RunUnknown, RunBusy (being trained) or CannotWrite."""
    places = _places(run, store)
    lease = leases.claim(runs.find(where(store), run).path, datetime.now(UTC))
    try:
        return tuple(id_ for place in places for id_ in place.prune(keep=keep))
    finally:
        lease.release(datetime.now(UTC))


def _places(run: str, store: Path | None) -> tuple[Checkpoints, ...]:
    folder = runs.find(where(store), run).checkpoints
    if not folder.is_dir():
        return ()
    return tuple(Checkpoints(path) for path in sorted(folder.iterdir()) if path.is_dir())
