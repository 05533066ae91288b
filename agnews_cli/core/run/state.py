"""How a run stands, and what may follow: one table, which `docs/states.md` draws."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class RunState(StrEnum):
    """What `outcome.json`, `agnews status`, the history and the ledger say of a run."""

    PENDING = "pending"
    """In the ledger, and no session has worked on it."""
    UNFINISHED = "unfinished"
    """On the disk, and no worker has ended: none began, or it was killed."""
    RUNNING = "running"
    """A session holds it."""
    PAUSED = "paused"
    """Saved in time, because the session's end was near."""
    INTERRUPTED = "interrupted"
    """Stopped by a signal, or its session died."""
    FAILED = "failed"
    """The worker said why it cannot go on."""
    COMPLETED = "completed"
    """Its result is whole."""


_BEGINS = {RunState.RUNNING: "a session takes it up"}
TRANSITIONS: Final[Mapping[RunState, Mapping[RunState, str]]] = {
    RunState.PENDING: _BEGINS,
    RunState.UNFINISHED: _BEGINS,
    RunState.RUNNING: {
        RunState.RUNNING: "another session takes it over",
        RunState.UNFINISHED: "the worker is killed",
        RunState.PAUSED: "the session's end is near",
        RunState.INTERRUPTED: "a signal, or the session dies",
        RunState.FAILED: "an error",
        RunState.COMPLETED: "the result is written",
    },
    RunState.PAUSED: {RunState.RUNNING: "agnews resume"},
    RunState.INTERRUPTED: {RunState.RUNNING: "agnews resume"},
    RunState.FAILED: {RunState.RUNNING: "the same command again"},
    RunState.COMPLETED: {RunState.RUNNING: "agnews auto --fresh"},
}
"""From a state to those that may follow, and what leads there."""

ENDED: Final = (
    RunState.COMPLETED,
    RunState.PAUSED,
    RunState.INTERRUPTED,
    RunState.FAILED,
)
"""How a worker may end."""


def may_follow(state: RunState, new: RunState) -> bool:
    """Whether a run can come from `state` to `new`; to say the same again is no step."""
    return new == state or new in TRANSITIONS[state]


def after(state: RunState, new: RunState) -> RunState:
    """`new`. Raises ValueError unless it may follow `state`."""
    if not may_follow(state, new):
        raise ValueError(f"a run that is {state} does not become {new}")
    return new


def as_end(state: RunState) -> RunState:
    """`state`. Raises ValueError unless a worker may end so."""
    if state not in ENDED:
        raise ValueError(f"no worker ends as {state}")
    return state


def diagram() -> str:
    """The table as a Mermaid diagram."""
    lines = [
        f"    {old} --> {new}: {why}"
        for old, nexts in TRANSITIONS.items()
        for new, why in nexts.items()
    ]
    begins = [f"    [*] --> {state}" for state in (RunState.PENDING, RunState.UNFINISHED)]
    return "\n".join(["stateDiagram-v2", *begins, *lines])
