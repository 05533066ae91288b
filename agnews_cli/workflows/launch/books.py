"""Hours of launched sessions in the ledger: what one costs at most before it is begun, and what it
did cost when that is known.

The first is written as hours used elsewhere; the second as a session of the same name, which then
counts in their place.
"""

from __future__ import annotations

from datetime import UTC, datetime

from agnews_cli.core.hours.session import Run, Session, SessionEnd, Used, hidden
from agnews_cli.core.launching.record import Ending, LaunchedSession, LaunchRecord
from agnews_cli.core.launching.rules import MARGIN_S
from agnews_cli.core.run.state import RunState
from agnews_cli.store.hours.ledger import Ledger

_ENDS: dict[Ending, tuple[SessionEnd, RunState]] = {
    "finished": ("finished", RunState.COMPLETED),
    "paused": ("deadline", RunState.PAUSED),
    "failed": ("error", RunState.FAILED),
    "stopped": ("user", RunState.INTERRUPTED),
    "missing": ("died", RunState.INTERRUPTED),
    "": ("user", RunState.INTERRUPTED),
}


def book(launch: LaunchRecord, session: LaunchedSession) -> None:
    """What it costs at most. Again, it changes nothing. Raises CannotWrite or NoDiskSpace."""
    with Ledger() as ledger:
        ledger.record(
            Used(
                id=_entry(session),
                platform=launch.platform,
                resource=launch.resource,
                began_at=session.tried_at,
                seconds=session.most_s,
                source=f"agnews launch: {session.name}, at most",
            )
        )


def settle(launch: LaunchRecord, session: LaunchedSession, lasted_s: float) -> None:
    """What it did cost; nothing where it never began. Raises CannotWrite or NoDiskSpace."""
    end, state = _ENDS[session.end]
    at = session.ended_at or datetime.now(UTC)
    run = Run(hidden(launch.id), "", "", 0, state, "", session.tried_at, max(at, session.tried_at))
    held = Session(
        id=_entry(session),
        seq=1,
        run=run.id,
        platform=launch.platform,
        accelerator=launch.accelerator,
        resource=launch.resource,
        machine=session.name,
        pid=0,
        entered_s=0.0,
        opened_at=session.tried_at,
        beat_at=max(at, session.tried_at),
        seconds=lasted_s,
        state=end,
        ended_at=max(at, session.tried_at),
        closed_seq=1,
    )
    with Ledger() as ledger:
        ledger.join([(run, held)])


def lasted_s(session: LaunchedSession, said: object) -> float:
    """How long it held its machine: as it said, where that can be; else until we heard of its end,
    and no longer than it may have."""
    longest_s = session.most_s + MARGIN_S
    if isinstance(said, int | float) and 0 < said <= longest_s:
        return float(said)
    since = session.waited_until or session.tried_at
    until = session.ended_at or since
    return min(max(0.0, (until - since).total_seconds()), longest_s)


def _entry(session: LaunchedSession) -> str:
    """Each try has its own: one that did not begin cost nothing, and the next one may."""
    return f"{session.name}-{session.tried_at:%Y%m%dT%H%M%S%f}"
