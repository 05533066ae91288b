"""What a launch is to do, as its command and its tests say it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from agnews_cli.core.launching.record import LaunchedSession, LaunchRecord
from agnews_cli.core.launching.rules import Hours, Waits
from agnews_cli.host.launcher import Launcher, SessionOrder
from agnews_cli.store.run.launches import Launches

SCHEMA = "agnews.launch/1"
Say = Callable[[str], None]


def utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class LaunchPlan:
    """A launch, where its sessions are started, and the rules that they keep."""

    record: LaunchRecord
    """As it is where nothing is kept of it yet."""
    launcher: Launcher
    hours: Callable[[Sequence[LaunchedSession], datetime], Hours]
    """What may be used beside these sessions, asked each time."""
    cap_s: float
    """The longest session of the platform."""
    at_once: int
    """How many sessions of all launches run at once, at most."""
    again: str
    """The command that goes on."""
    longest_s: float | None = None
    """Of a session, as the user wants it."""
    ends_at: datetime | None = None
    """When the last session must have ended."""
    once: bool = False
    """Do what is due, and wait for nothing."""
    ready: Callable[[SessionOrder], str] = lambda order: ""
    """Sends what a session needs besides; why it is not there yet."""
    waits: Waits = Waits()  # noqa: RUF009
    launches: Launches = field(default_factory=Launches)
    now: Callable[[], datetime] = utc_now
    sleep: Callable[[float], None] = time.sleep

    def asked_s(self) -> float | None:
        """The longest that a session begun now may be, as the user wants it."""
        if self.ends_at is None:
            return self.longest_s
        left_s = (self.ends_at - self.now()) / timedelta(seconds=1)
        return left_s if self.longest_s is None else min(self.longest_s, left_s)


@dataclass(frozen=True, slots=True)
class LaunchResult:
    """A launch that is done."""

    record: LaunchRecord
    run: str
    """The run that is its result; empty where the last session did not name it."""

    @property
    def folder(self) -> Path:
        return Path(self.record.store) / self.run

    def as_json(self) -> dict[str, Any]:
        """Schema `agnews.launch/1` (docs/json.md)."""
        return as_json(self.record) | {"state": "done", "run": self.run}

    def lines(self) -> tuple[str, ...]:
        count = len(self.record.sessions)
        sessions = "1 session" if count == 1 else f"{count} sessions"
        return (
            f"{self.run or self.record.id} is done, after {sessions}: {self.folder}",
            f'Use it: agnews predict {self.run or "latest"} "a text"',
        )


def as_json(record: LaunchRecord) -> dict[str, Any]:
    """What is known of a launch, and of each of its sessions."""
    open_ = record.open
    newest = record.newest
    return {
        "schema": SCHEMA,
        "launch": record.id,
        "platform": record.platform,
        "owner": record.owner,
        "accelerator": record.accelerator,
        "state": "under way" if open_ else newest.end if newest else "not begun",
        "run": "",
        "store": record.store,
        "sessions": [session_as_json(each) for each in record.sessions],
    }


def session_as_json(session: LaunchedSession) -> dict[str, Any]:
    """One of its sessions."""
    return {
        "number": session.number,
        "name": session.name,
        "stage": session.stage,
        "end": session.end,
        "most_s": session.most_s,
        "tried_at": session.tried_at.isoformat(),
        "ended_at": session.ended_at.isoformat() if session.ended_at else None,
        "message": session.message,
        "url": session.url,
    }
