"""What every remote store can do, and what it promises.

Objects have names such as `RUN/checkpoints/NAME/m-….json` and never change. Everything raises
StoreBusy where another try may help, NotInStore where an object is missing, else StoreTrouble.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

_NAME = re.compile(r"(?:[A-Za-z0-9][A-Za-z0-9._-]{0,199}/){0,6}[A-Za-z0-9][A-Za-z0-9._-]{0,199}")


@dataclass(frozen=True, slots=True)
class Promises:
    """What a store guarantees; where it does not, sync does without."""

    is_exclusive: bool = False
    """`create` refuses a name that is taken: of two sessions that claim a run, one wins."""
    proves: bool = True
    """A read comes from the store itself; False where this machine's cache may answer."""
    is_atomic: bool = False
    """What was put appears all at once, by `flush`."""
    is_bundled: bool = False
    """A checkpoint is one object: many small ones are slow, or not kept together."""
    is_read_only: bool = False
    keeps: int = 2
    """How many checkpoints of a fine-tuning stay."""
    most_bytes: int | None = None
    """How many bytes the checkpoints of one fine-tuning may take; the newest always stays."""
    beats: bool = True
    """Signs of life are cheap enough to be written every few minutes."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One object of a listing."""

    name: str
    size_bytes: int
    modified_s: float | None = None
    """Seconds since 1970 by the store's clock, where it tells."""


class Remote(Protocol):
    """A store of immutable objects."""

    @property
    def address(self) -> str:
        """How users name it; holds no secret."""
        ...

    @property
    def promises(self) -> Promises: ...

    def put(self, name: str, source: Path) -> None:
        """Send a file, whole or not at all; `source` stays until `flush`."""
        ...

    def create(self, name: str, data: bytes) -> bool:
        """Put a small object at once; False where the name is taken, if the store can tell."""
        ...

    def get(self, name: str, target: Path, most_bytes: int) -> None:
        """Write an object to the new file `target`; the caller checks what came.

        Of one with more than `most_bytes` no more is fetched, and StoreTrouble raised.
        """
        ...

    def list(self, prefix: str) -> tuple[Entry, ...]:
        """Every object whose name begins with `prefix` (empty, or ending in a slash)."""
        ...

    def delete(self, name: str) -> None:
        """Remove an object, which may be gone already; at the latest by the next `flush`."""
        ...

    def flush(self) -> None:
        """Return when everything put is in the store."""
        ...


def is_name(name: str) -> bool:
    """Whether an object may be called so: no absolute path, no way out, nothing hidden."""
    return bool(_NAME.fullmatch(name)) and ".." not in name
