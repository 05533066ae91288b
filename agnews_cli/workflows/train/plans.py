"""What was decided: one model, or a graph of several runs for one result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agnews_cli.core.graph.asked import AnyPreset
from agnews_cli.core.graph.graph import Graph, Node
from agnews_cli.core.run.choose import PassedOver
from agnews_cli.core.run.job import CandidateKind
from agnews_cli.core.run.model_limits import ModelLimits
from agnews_cli.core.run.preset import Preset
from agnews_cli.core.run.work import RunId, Train, inputs
from agnews_cli.store.model import models
from agnews_cli.workflows.train.scene import Scene


@dataclass(frozen=True, slots=True)
class Plan:
    """What `agnews auto` will do, and why."""

    scene: Scene
    preset: Preset
    model: models.Resolved
    graph: Graph
    candidates: tuple[CandidateKind, ...]
    reasons: tuple[str, ...]
    passed_over: tuple[PassedOver, ...] = ()
    teacher: tuple[Path, ...] = ()
    """Files of what a teacher says of the rows that train."""
    teacher_held: tuple[Path, ...] = ()
    """What it says of those that validate, which changes no result; they need not be there."""
    whole: str = ""
    """The preset of the ensemble or student that this is a part of, as one file; empty: none."""

    @property
    def title(self) -> str:
        return f"{self.preset.name} ({self.preset.tier}, {self.preset.method.kind})"

    def parts(self) -> tuple[tuple[str, ...], ...]:
        """What is done besides: nothing."""
        return ()

    @property
    def work(self) -> Train:
        """What is trained."""
        work = self.graph[self.run].work
        assert isinstance(work, Train)
        return work

    @property
    def run(self) -> RunId:
        """The run whose folder holds it all."""
        return self.graph.place

    def as_json(self, state: str) -> dict[str, Any]:
        """The part of the result that is known before training (docs/json.md)."""
        return self.scene.as_json(self.run, state) | {
            "preset": self.preset.name,
            "tier": self.preset.tier,
            "model": self.preset.model.id,
            "method": self.preset.method.kind,
            "seed": self.work.seed,
            "reasons": list(self.reasons),
        }


@dataclass(frozen=True, slots=True)
class Campaign:
    """What is to be done, and why: a plan of each training, and the graph of them all."""

    scene: Scene
    shape: AnyPreset
    graph: Graph
    plans: Mapping[RunId, Plan]
    """Of each training, by its run."""
    whole: str
    """The preset, with all that it names, as one file."""
    reasons: tuple[str, ...]
    limits: ModelLimits
    slow: frozenset[RunId] = frozenset()
    """Trainings that nobody should wait for here while there are others: too large for it."""

    @property
    def run(self) -> RunId:
        """The run in whose folder the result will lie."""
        return self.graph.place

    @property
    def title(self) -> str:
        trainings = len(self.plans)
        return f"{self.shape.name} ({self.tier}, {trainings} trainings)"

    def parts(self) -> tuple[tuple[str, ...], ...]:
        """(title, kind, what must be done before, run) of each part, in the order of the work."""
        return tuple(
            (node.title, node.work.kind, ", ".join(self.after(node)), node.place)
            for node in self.graph.nodes.values()
        )

    @property
    def tier(self) -> str:
        return self.shape.tier

    def as_json(self, state: str) -> dict[str, Any]:
        """The part of the result that is known before anything is done (docs/json.md)."""
        return self.scene.as_json(self.run, state) | {
            "preset": self.shape.name,
            "tier": self.tier,
            "seed": self.scene.wish.seed,
            "graph": [
                {"run": n.place, "title": n.title, "kind": n.work.kind, "after": self.after(n)}
                for n in self.graph.nodes.values()
            ],
            "reasons": list(self.reasons),
        }

    def after(self, node: Node) -> list[str]:
        """The titles of the nodes that must be done before."""
        nodes = self.graph.nodes
        return [nodes[one].title for one in inputs(node.work) if one in nodes]
