"""The parts of what is made of several runs, written down for people: which, and after which.

`graph.json` in the folder of the result. Nothing is decided by it: the graph is made anew from what
was asked, and what of it is done, each run's own folder says.
"""

from __future__ import annotations

import json
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agnews_cli.core.graph.graph import Graph
from agnews_cli.core.run.work import RunId, inputs
from agnews_cli.store.disk import files
from agnews_cli.store.run import runs
from agnews_cli.store.run.runs import RunFolder

SCHEMA = "agnews.graph/1"
_MOST_BYTES = 4_000_000
_MOST_PARTS = 10_000
_Id = Annotated[RunId, Field(max_length=200)]


class GraphPart(BaseModel):
    """`run`: in whose folder its result lies. `after`: the ids of what must be done before."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    id: _Id
    run: _Id
    title: str = Field(max_length=500)
    kind: str = Field(max_length=50)
    after: tuple[_Id, ...] = ()
    teacher: _Id | None = None
    """Of a student: the run whose model taught it; of an export: whose model it is."""


class GraphParts(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    target: str
    nodes: tuple[GraphPart, ...] = Field(max_length=_MOST_PARTS)


def write(folder: RunFolder, graph: Graph) -> None:
    """Raises CannotWrite or NoDiskSpace."""
    nodes = tuple(
        GraphPart(
            id=node.id,
            run=node.place,
            title=node.title,
            kind=node.work.kind,
            after=tuple(one for one in inputs(node.work) if one in graph.nodes),
            teacher=graph.teacher(node),
        )
        for node in graph.nodes.values()
    )
    facts = {"schema": SCHEMA} | GraphParts(target=graph.target, nodes=nodes).model_dump(
        mode="json"
    )
    files.write_text_atomically(folder.graph, json.dumps(facts, indent=1, ensure_ascii=False))


def read(folder: RunFolder) -> GraphParts | None:
    """None where it is one run alone, or the file is damaged."""
    try:
        return GraphParts.model_validate_json(files.read_plain(folder.graph, _MOST_BYTES))
    except (OSError, ValidationError):
        return None


def runs_of(folder: RunFolder) -> tuple[str, ...]:
    """Ids of the runs that it is made of, by name; its own where it is one alone."""
    graph = read(folder)
    return (folder.id,) if graph is None else tuple(sorted({part.run for part in graph.nodes}))


def teacher_of(folder: RunFolder) -> str | None:
    """The run whose model taught this one, as what it was trained for says; None where none did."""
    found = having(folder)
    nodes = () if found is None else found[1].nodes
    return next((part.teacher for part in nodes if part.id == folder.id), None)


def having(folder: RunFolder) -> tuple[RunFolder, GraphParts] | None:
    """The result that a run is a part of, or is, and all its parts; the newest of several."""
    own = read(folder)
    if own is not None:
        return folder, own
    if not folder.has(folder.whole.name):
        return None
    for other in runs.list_runs(folder.path.parent):
        found = read(other)
        if found is not None and any(part.run == folder.id for part in found.nodes):
            return other, found
    return None
