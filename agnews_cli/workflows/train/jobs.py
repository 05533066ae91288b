"""What the sessions of a graph's parts are told, where they are no trainings."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from pathlib import Path

from agnews_cli.core.graph.graph import Graph, Node
from agnews_cli.core.run.job import CombineJob, CombineMember, PredictJob
from agnews_cli.core.run.preset import Model
from agnews_cli.core.run.work import (
    MODEL,
    SNAPSHOT,
    TEST,
    VALIDATION,
    Combine,
    EnsembleMember,
    Evaluate,
    Predict,
    RunId,
    RunOutput,
    Source,
    is_model,
)
from agnews_cli.host import network
from agnews_cli.store.data import datasets
from agnews_cli.store.disk.home import cache
from agnews_cli.store.model import delivered, models
from agnews_cli.store.run import runs
from agnews_cli.store.run.runs import RunFolder
from agnews_cli.workflows.train.plans import Campaign


def path_of(store: Path, source: Source, part: str | None = None) -> Path:
    """Where what a run leaves lies. `part`: of what a model of it leaves, another than itself."""
    assert isinstance(source, RunOutput)
    folder, wanted = store / source.run, part or source.part
    if is_model(source.part) and source.part != MODEL:  # a snapshot is a delivery in its run's
        folder /= source.part
    return folder if is_model(wanted) else folder / f"{wanted}.safetensors"


def _there(path: Path) -> str | None:
    return str(path) if path.is_file() else None


def _outputs(member: EnsembleMember) -> list[RunOutput]:
    return [one for one in (*member.models, *member.unseen) if isinstance(one, RunOutput)]


def _cycle(output: RunOutput) -> str:
    """Of a snapshot, which one it is; else empty."""
    is_snapshot = output.part.startswith(SNAPSHOT)
    return output.part.removeprefix(SNAPSHOT) if is_snapshot else ""


def combining(campaign: Campaign, node: Node, work: Combine, done: Collection[RunId]) -> CombineJob:
    """`done`: what of the graph is, of which the members' answers to test rows are taken."""
    graph, tests = campaign.graph, _tests(campaign.graph, node, done)
    folder = created(campaign, node)
    order = {run: n for n, run in enumerate(graph.nodes)}

    def place(member: EnsembleMember) -> list[tuple[int, RunId, int]]:
        each = _outputs(member)
        return [(order.get(one.run, -1), one.run, int(_cycle(one) or 0)) for one in each]

    named = sorted(work.members, key=place)
    members = tuple(_member(campaign, member, tests) for member in named)
    return CombineJob(
        run=node.id,
        nodes=tuple(one.id for one in graph.together(node, done)),
        folder=str(folder.path),
        cache=str(cache()),
        dataset=campaign.scene.dataset,
        how=work.how,
        members=members,
        seed=campaign.scene.wish.seed,
        **campaign.scene.clock,
    )


def _member(
    campaign: Campaign, member: EnsembleMember, tests: Mapping[RunId, RunId]
) -> CombineMember:
    store = campaign.scene.store
    unseen = member.unseen or member.models
    first = next(iter((*member.models, *unseen)))
    assert isinstance(first, RunOutput)
    node = campaign.graph.nodes.get(first.run)
    return CombineMember(
        name=first.run if node is None else f"{_title(node, first)}: {node.label}",
        delivery=str(path_of(store, first)) if member.models else None,
        validation=tuple(
            str(path_of(store, one, VALIDATION if is_model(one.part) else one.part))
            for one in unseen
            if isinstance(one, RunOutput)
        ),
        test=_there(path_of(store, first, TEST)) if first.run in tests else None,
    )


def _title(node: Node, model: RunOutput) -> str:
    cycle = _cycle(model)
    return f"{node.title} snapshot {cycle}" if cycle else node.title


def _tests(graph: Graph, node: Node, done: Collection[RunId]) -> Mapping[RunId, RunId]:
    """The evaluations that stand beside the node's own, by the run that they are about."""
    for other in graph.together(node, done):
        if isinstance(other.work, Evaluate):
            beside = [one.run for one in other.work.beside if isinstance(one, RunOutput)]
            # A run of another graph has its own answers; what evaluates one here is a node.
            nodes = graph.nodes
            return {nodes[run].place if run in nodes else run: run for run in beside}
    return {}


def predicting(campaign: Campaign, node: Node, work: Predict) -> PredictJob:
    """Raises what is wrong with the model that is asked; HubUnreachable for what it needs."""
    folder = created(campaign, node)
    model = path_of(campaign.scene.store, work.model)
    asked = delivered.at(model)
    rows = datasets.RowCache.of(cache()).rows(campaign.scene.dataset)
    return PredictJob(
        run=node.id,
        nodes=(node.id,),
        folder=str(folder.path),
        cache=str(cache()),
        dataset=campaign.scene.dataset,
        model=str(model),
        bases={base.id: _located(campaign, base) for base in delivered.bases_of(asked)},
        of=work.of,
        rows={split: str(path) for split, path in rows.items() if split != "test"},
        choice=work.rows,
        has_hidden=work.has_hidden,
        **campaign.scene.clock,
    )


def _located(campaign: Campaign, base: Model) -> str:
    return models.resolve(base, hub=campaign.scene.hub, endpoint=network.endpoint()).path_or_id


def created(campaign: Campaign, node: Node) -> RunFolder:
    """The folder of a part, which says what all parts are for."""
    plan = campaign.plans.get(node.place)
    return runs.create(
        campaign.scene.store,
        node.place,
        preset=None if plan is None else plan.preset,
        dataset=campaign.scene.dataset,
        seed=campaign.scene.wish.seed,
        order=campaign.scene.order,
        whole=campaign.whole,
        now=datetime.now(UTC),
    )
