"""How each part of what is made of several runs stands, as this machine's files say."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal

from agnews_cli.store.run import leases
from agnews_cli.store.run.parts import GraphPart, GraphParts
from agnews_cli.store.run.runs import RunFolder

PartState = Literal["done", "running", "begun", "failed", "next", "waiting"]


@dataclass(frozen=True, slots=True)
class PartLine:
    """`where`: whose session is at it, while it is `running`; what it failed of, where it did."""

    title: str
    kind: str
    run: str
    state: PartState
    where: str = ""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def lines(whole: RunFolder, parts: GraphParts, now: datetime) -> tuple[PartLine, ...]:
    """In the order of the work. `next`: all that it needs is done; `waiting`: something is not."""
    store = whole.path.parent
    folders = {part.run: RunFolder(store / part.run) for part in parts.nodes}
    done = {id_ for folder in folders.values() for id_ in folder.done()}
    return tuple(_line(part, folders[part.run], done, now) for part in parts.nodes)


def _line(part: GraphPart, folder: RunFolder, done: set[str], now: datetime) -> PartLine:
    state, where = _state(part, folder, done, now)
    return PartLine(part.title, part.kind, part.run, state, where)


def _state(
    part: GraphPart, folder: RunFolder, done: set[str], now: datetime
) -> tuple[PartState, str]:
    if part.id in done:
        return "done", ""
    if any(one not in done for one in part.after):
        return "waiting", ""
    holder = leases.holder(folder.path, now)
    if holder is not None:
        return "running", holder
    outcome = folder.ended()
    if outcome is not None and outcome.failure is not None:
        return "failed", outcome.failure.message
    is_begun = folder.events.exists() or outcome is not None
    return ("begun" if is_begun else "next"), ""
