"""What the planner plans of a graph: the nodes that are left, each as far as it is done."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from agnews_cli.core.graph.graph import Graph, Node
from agnews_cli.core.plan.instance import Task
from agnews_cli.core.run.cost import Cost
from agnews_cli.core.run.work import RunId, Work, inputs


def tasks(
    graph: Graph, cost: Callable[[Work], Cost], progress: Mapping[RunId, float]
) -> tuple[Task, ...]:
    """`progress`: the share of each run that is behind it; 1 is done. What is begun is shorter."""
    done = {run for run in graph.nodes if progress.get(run, 0.0) >= 1.0}
    left = graph.left(done)
    return tuple(
        _task(node, left, cost(node.work), progress.get(node.id, 0.0))
        for node in left.nodes.values()
    )


def _task(node: Node, left: Graph, cost: Cost, share: float) -> Task:
    # What the process that made a model does with it afterwards needs no second start.
    is_there = node.place != node.id and node.place in left.nodes
    return Task(
        node.title,
        cost.steps - min(cost.steps - 1, int(share * cost.steps)),
        cost.step_s,
        after=tuple(left[one].title for one in inputs(node.work) if one in left.nodes),
        is_divisible=cost.is_divisible,
        memory_bytes=cost.memory_bytes,
        load_s=0.0 if is_there else cost.load_s,
        save_s=0.0 if is_there else cost.save_s,
        run=node.id,
    )
