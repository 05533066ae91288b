"""Work and the work it needs, as a pure value: rebuilt from what was asked, never stored.

A node is named by the hash of what it does and of its inputs' names, so nothing can wait for
itself, a graph that is edited keeps the names of all that stays, and what is done is known by its
name alone.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from itertools import count

from agnews_cli.core.run.dataset import Dataset
from agnews_cli.core.run.identity import run_id
from agnews_cli.core.run.work import Export, Predict, RunId, RunOutput, Train, Work, inputs, place


@dataclass(frozen=True, slots=True)
class Node:
    """`title`: what people call it in this graph, such as `member 2`."""

    id: RunId
    title: str
    work: Work

    @property
    def place(self) -> RunId:
        """The run in whose folder its result lies."""
        return place(self.id, self.work)

    @property
    def label(self) -> str:
        """Its id without the hash: the name of its preset."""
        return self.id.rpartition("-")[0]


@dataclass(frozen=True, slots=True)
class Graph:
    """Nodes by id, each after those that it needs, and the one that all this is for.

    What a node needs and is no node here must have been done elsewhere.
    """

    nodes: Mapping[RunId, Node]
    target: RunId

    def __post_init__(self) -> None:
        before: set[RunId] = set()
        for id_, node in self.nodes.items():
            later = [one for one in inputs(node.work) if one in self.nodes and one not in before]
            if later or id_ != node.id:
                raise ValueError(f"{id_} stands before what it needs: {later}")
            before.add(id_)

    def __getitem__(self, run: RunId) -> Node:
        return self.nodes[run]

    @property
    def place(self) -> RunId:
        """The run in whose folder the result lies."""
        return self.nodes[self.target].place

    @property
    def outside(self) -> frozenset[RunId]:
        """Runs of other graphs that are needed."""
        needed = {one for node in self.nodes.values() for one in inputs(node.work)}
        return frozenset(needed - self.nodes.keys())

    def left(self, done: Collection[RunId]) -> Graph:
        """What the target still needs: of what is done nothing, nor what only that needed."""
        needed: set[RunId] = set()
        wanted = [self.target]
        while wanted:
            run = wanted.pop()
            if run in self.nodes and run not in done and run not in needed:
                needed.add(run)
                wanted += inputs(self.nodes[run].work)
        return Graph({id_: n for id_, n in self.nodes.items() if id_ in needed}, self.target)

    def ready(self, done: Collection[RunId]) -> tuple[Node, ...]:
        """What can be done now, in the graph's order."""
        return tuple(
            node
            for node in self.left(done).nodes.values()
            if all(one in done for one in inputs(node.work))
        )

    def together(self, node: Node, done: Collection[RunId] = ()) -> tuple[Node, ...]:
        """A node that is ready and those that the same process does after it: what lies in the same
        folder and needs nothing else. A model is loaded once for its training and evaluation.
        """
        known, chain = {*done, node.id, *self.outside}, [node]
        for other in self.left(done).nodes.values():
            is_here = other.place == node.place and other.id not in known
            if is_here and all(one in known for one in inputs(other.work)):
                known.add(other.id)
                chain.append(other)
        return tuple(chain)

    def teacher(self, node: Node) -> RunId | None:
        """The run whose model taught this one, or which this one is in another form; None where it
        is neither, or files taught."""
        if isinstance(node.work, Export):
            return node.work.model.run
        taught_by = node.work.teacher if isinstance(node.work, Train) else ()
        asked = (self.nodes.get(one.run) for one in taught_by if isinstance(one, RunOutput))
        works = (node.work for node in asked if node is not None)
        models = (one.model for one in works if isinstance(one, Predict))
        return next((one.run for one in models if isinstance(one, RunOutput)), None)

    def part(self, node: Node) -> Graph:
        """What lies in the same folder, as a graph of its own: the rest is done before."""
        chain = {id_: one for id_, one in self.nodes.items() if one.place == node.place}
        return Graph(chain, list(chain)[-1])


@dataclass(slots=True)
class Growing:
    """A graph while it is made: what is added can only need what has a name by then."""

    data: Dataset
    nodes: dict[RunId, Node] = field(default_factory=dict)

    def add(self, label: str, title: str, work: Work) -> RunOutput:
        """The node's own output. The same work twice is one node, with its first title; two nodes
        have two titles."""
        id_ = run_id(label, work, self.data)
        if id_ not in self.nodes:
            taken = {node.title for node in self.nodes.values()}
            further = (f"{title} ({number})" for number in count(2))
            free = title if title not in taken else next(t for t in further if t not in taken)
            self.nodes[id_] = Node(id_, free, work)
        return RunOutput(run=id_)

    def towards(self, target: RunOutput) -> Graph:
        return Graph(dict(self.nodes), target.run)
