"""What this machine knows of each store: what was sent there, and what of it was proven.

One small file per store in the run's folder, `stores/<digest of the address>.json`. It may be
lost: then everything counts as not sent, and what the store has is not sent twice all the same.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from agnews_cli.errors import CannotWrite, NoDiskSpace
from agnews_cli.store.disk import files
from agnews_cli.store.disk.files import write_text_atomically
from agnews_cli.store.run.runs import RunFolder
from agnews_cli.store.transfer.parcels import State

_KEPT_DURATIONS = 50
_MOST_BYTES = 4_000_000


class Page(BaseModel):
    """One store's file."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    address: str
    parcels: dict[str, State] = {}
    """By the manifest's name within the run; only what is still there."""
    durations_s: list[float] = []
    """What sending took, newest last."""
    processor_s: float = 0.0
    """Processor time that the last sending took here."""
    pushed_at: str | None = None
    problem: str | None = None
    """Why the last round failed; None where it did not."""
    branches: list[str] = []
    """Checkpoints of sessions that lost a fork; kept, and not gone on with."""


@dataclass(slots=True)
class Book:
    """The page of one store, written at each change."""

    path: Path
    page: Page = field(default_factory=lambda: Page(address=""))

    @classmethod
    def of(cls, run: RunFolder, address: str) -> Book:
        name = hashlib.sha256(address.encode()).hexdigest()[:12]
        path = run.path / "stores" / f"{name}.json"
        page = Page(address=address)
        with suppress(OSError, ValueError):
            page = _read(path)
        return cls(path, page)

    def note(self, name: str, state: State) -> None:
        self.page.parcels[name] = state
        self._write()

    def forget(self, name: str) -> None:
        self.page.parcels.pop(name, None)
        self._write()

    def took(self, seconds: float, processor_s: float) -> None:
        self.page.durations_s = [*self.page.durations_s, round(seconds, 2)][-_KEPT_DURATIONS:]
        self.page.processor_s = round(processor_s, 2)
        self._write()

    def done(self, branches: tuple[str, ...]) -> None:
        self.page.pushed_at = datetime.now(UTC).isoformat(timespec="seconds")
        self.page.problem, self.page.branches = None, list(branches)
        self._write()

    def failed(self, problem: str) -> None:
        self.page.problem = problem
        self._write()

    def _write(self) -> None:
        with suppress(CannotWrite, NoDiskSpace, OSError):  # it only remembers; training matters
            self.path.parent.mkdir(exist_ok=True)
            write_text_atomically(self.path, self.page.model_dump_json(indent=1))


def books(run: RunFolder) -> tuple[Book, ...]:
    """Of every store that this run was ever sent to."""
    found = []
    for path in sorted((run.path / "stores").glob("*.json")):
        with suppress(OSError, ValueError):
            found.append(Book(path, _read(path)))
    return tuple(found)


def _read(path: Path) -> Page:
    """Raises OSError or ValueError (pydantic's is one)."""
    return Page.model_validate_json(files.read_plain(path, _MOST_BYTES))


def sending_s(run: RunFolder) -> float:
    """Processor time that sending a checkpoint takes here, as last measured; 0 before that.

    Stores are sent to at once, and each one's figure is of the whole process: the largest counts.
    """
    return max((book.page.processor_s for book in books(run)), default=0.0)
