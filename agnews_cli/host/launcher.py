"""What every launcher does: start a session elsewhere, look at it, bring its output, cancel it.

A session is asked for by a name that follows from the launch. No method waits for a session; each
answers with what was heard, also where that is nothing, and decides nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from agnews_cli.core.hours.resource import Resource
from agnews_cli.core.launching.answers import Begun, Looked
from agnews_cli.store.remotes.remote import Remote

STORE = "agnews-store"
"""The folder of a session's output that is a store."""
REPORT = "agnews-launch.json"
"""What a session says of its end: `exit_code` and `lasted_s`."""


@dataclass(frozen=True, slots=True)
class SessionOrder:
    """A session to begin."""

    name: str
    folder: Path
    """An empty folder for what is sent."""
    words: tuple[str, ...]
    """What follows `agnews auto` there."""
    launch: str
    number: int
    most_s: float
    accelerator: str
    sources: tuple[str, ...] = ()
    """The sessions that it goes on from."""
    data: str = ""
    """What the data that it reads are called there; empty: it brings none."""


@dataclass(frozen=True, slots=True)
class SessionOutput:
    """What a session left."""

    store: Remote | None
    """None where it left none."""
    report: Mapping[str, object]
    """Empty where it says nothing of its end."""
    log: str = ""
    """The last lines of what it printed."""


class Launcher(Protocol):
    """A place where sessions are started."""

    @property
    def title(self) -> str: ...

    @property
    def platform(self) -> str:
        """As its limits and the ledger call it."""
        ...

    def resource(self, accelerator: str) -> Resource:
        """Whose hours a session with it costs."""
        ...

    @property
    def owner(self) -> str:
        """Whose sessions they are."""
        ...

    def begin(self, order: SessionOrder) -> Begun:
        """Ask once. Raises LauncherClientMissing before anything is sent."""
        ...

    def look(self, name: str) -> Looked: ...

    def output(self, name: str, folder: Path) -> SessionOutput:
        """Of a session that has ended. Raises StoreBusy or StoreTrouble."""
        ...

    def cancel(self, name: str) -> Looked:
        """End it, where that is possible; what is heard then."""
        ...
