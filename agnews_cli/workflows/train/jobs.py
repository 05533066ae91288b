"""What the sessions of a graph's parts are told, where they are no trainings."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from pathlib import Path

from agnews_cli.core.graph.asked import ensembles
from agnews_cli.core.graph.graph import Graph, Node
from agnews_cli.core.run import looks
from agnews_cli.core.run.diversity import DiversityLimits
from agnews_cli.core.run.job import (
    CombineJob,
    CombineMember,
    EvaluateJob,
    ExportJob,
    PredictJob,
    TestOrder,
    TrainJob,
)
from agnews_cli.core.run.looks import LookOrder
from agnews_cli.core.run.preset import Model
from agnews_cli.core.run.work import (
    MODEL,
    SNAPSHOT,
    TEST,
    VALIDATION,
    Combine,
    EnsembleMember,
    Evaluate,
    Export,
    Predict,
    RunId,
    RunOutput,
    is_model,
)
from agnews_cli.host import network
from agnews_cli.store.data import datasets
from agnews_cli.store.disk.home import cache
from agnews_cli.store.model import delivered, models
from agnews_cli.store.model.delivered import Delivered
from agnews_cli.store.run import runs, test_lock
from agnews_cli.store.run.runs import RunFolder
from agnews_cli.workflows.train.plans import Campaign
from agnews_cli.workflows.train.scene import Scene


def path_of(store: Path, source: RunOutput, part: str | None = None) -> Path:
    """Where what a run leaves lies. `part`: of what a model of it leaves, another than itself."""
    folder, wanted = store / source.run, part or source.part
    if is_model(source.part) and source.part != MODEL:  # a snapshot is a delivery in its run's
        folder /= source.part
    return folder if is_model(wanted) else folder / f"{wanted}.safetensors"


def _there(path: Path) -> str | None:
    return str(path) if path.is_file() else None


def _cycle(output: RunOutput) -> str:
    """Of a snapshot, which one it is; else empty."""
    is_snapshot = output.part.startswith(SNAPSHOT)
    return output.part.removeprefix(SNAPSHOT) if is_snapshot else ""


def combining(
    campaign: Campaign, node: Node, work: Combine, done: Collection[RunId]
) -> tuple[CombineJob, TestOrder | None]:
    """And what it is evaluated on. `done`: what of the graph is, of which the members' answers to
    test rows are taken."""
    graph, tests = campaign.graph, _tests(campaign.graph, node, done)
    folder = created(campaign, node)
    order = {run: n for n, run in enumerate(graph.nodes)}

    def place(member: EnsembleMember) -> list[tuple[int, RunId, int]]:
        each = (*member.models, *member.unseen)
        return [(order.get(one.run, -1), one.run, int(_cycle(one) or 0)) for one in each]

    named = sorted(work.members, key=place)
    members = tuple(_member(campaign, member, tests) for member in named)
    together = graph.together(node, done)
    common = campaign.scene.of_any_job
    said = tuple(test_lock.digest(one.test) for one in members if one.test is not None)
    job = CombineJob(
        run=node.id,
        nodes=tuple(one.id for one in together),
        folder=str(folder.path),
        cache=str(cache()),
        dataset=campaign.scene.dataset,
        how=work.how,
        members=members,
        limits=_limits(campaign, node, work),
        seed=campaign.scene.wish.seed,
        **common | {"locked": (*common["locked"], *said)},
    )
    evaluation = next((one for one in together if isinstance(one.work, Evaluate)), None)
    if evaluation is None or campaign.scene.dataset.test is None:
        return job, None
    return job, test_order(campaign.scene, evaluation, f"an ensemble of {len(members)} members")


def _limits(campaign: Campaign, node: Node, work: Combine) -> DiversityLimits:
    """As the ensemble says, else as usual."""
    mine = (
        o.limits for o in ensembles(campaign.shape) if (o.name, o.how) == (node.label, work.how)
    )
    return next(mine, DiversityLimits()).over(campaign.limits.diversity)


def _member(
    campaign: Campaign, member: EnsembleMember, tests: Mapping[RunId, RunId]
) -> CombineMember:
    store = campaign.scene.store
    unseen = member.unseen or member.models
    first = next(iter((*member.models, *unseen)))
    node, asked = campaign.graph.nodes.get(first.run), tests.get(first.run)
    return CombineMember(
        name=first.run if node is None else f"{_title(node, first)}: {node.label}",
        delivery=str(path_of(store, first)) if member.models else None,
        validation=tuple(
            str(path_of(store, one, VALIDATION if is_model(one.part) else one.part))
            for one in unseen
        ),
        test=asked and _there(path_of(store, RunOutput(run=asked, part=first.part), TEST)),
        latency=asked and _there(store / asked / "latency.json"),
    )


def _title(node: Node, model: RunOutput) -> str:
    cycle = _cycle(model)
    return f"{node.title} snapshot {cycle}" if cycle else node.title


def _tests(graph: Graph, node: Node, done: Collection[RunId]) -> Mapping[RunId, RunId]:
    """Where the answers to the test rows lie that stand beside the node's own, by the run that
    gave them."""
    found: dict[RunId, RunId] = {}
    for other in graph.together(node, done):
        if isinstance(other.work, Evaluate):
            for run in (one.run for one in other.work.beside):
                asked = graph.nodes.get(run)
                if asked is not None and isinstance(asked.work, Evaluate):
                    found[asked.work.model.run] = asked.place
                else:  # a run of another graph has its own answers
                    found[run] = run
    return found


def predicting(campaign: Campaign, node: Node, work: Predict) -> PredictJob:
    """Raises what is wrong with the model that is asked; HubUnreachable for what it needs."""
    folder = created(campaign, node)
    model = path_of(campaign.scene.store, work.model)
    rows = datasets.RowCache.of(cache()).rows(campaign.scene.dataset)
    return PredictJob(
        run=node.id,
        nodes=(node.id,),
        folder=str(folder.path),
        cache=str(cache()),
        dataset=campaign.scene.dataset,
        model=str(model),
        bases=bases(campaign.scene, delivered.at(model)),
        of=work.of,
        rows={split: str(path) for split, path in rows.items() if split != "test"},
        choice=work.rows,
        has_hidden=work.has_hidden,
        **campaign.scene.of_any_job,
    )


def evaluating(campaign: Campaign, node: Node, work: Evaluate) -> tuple[EvaluateJob, TestOrder]:
    """Of a model that no run made; and what it is asked. Raises like `predicting`."""
    folder = created(campaign, node)
    model = path_of(campaign.scene.store, work.model)
    job = EvaluateJob(
        run=node.id,
        nodes=(node.id,),
        folder=str(folder.path),
        cache=str(cache()),
        dataset=campaign.scene.dataset,
        model=str(model),
        bases=bases(campaign.scene, delivered.at(model)),
        **campaign.scene.of_any_job,
    )
    return job, test_order(campaign.scene, node, "a model that no run of agnews made")


def exporting(
    campaign: Campaign, node: Node, work: Export, trained: TrainJob, done: Collection[RunId]
) -> tuple[ExportJob, TestOrder | None]:
    """And what it is evaluated on. `trained`: what made the model. Raises like `predicting`."""
    folder = created(campaign, node)
    model = path_of(campaign.scene.store, work.model)
    together = campaign.graph.together(node, done)
    job = ExportJob(
        run=node.id,
        nodes=tuple(one.id for one in together),
        folder=str(folder.path),
        cache=str(cache()),
        dataset=campaign.scene.dataset,
        model=str(model),
        bases=bases(campaign.scene, delivered.at(model)),
        form=work.form,
        trained=trained,
        **campaign.scene.of_any_job,
    )
    evaluation = next((one for one in together if isinstance(one.work, Evaluate)), None)
    if evaluation is None or campaign.scene.dataset.test is None:
        return job, None
    return job, test_order(campaign.scene, evaluation, f"its model as {work.form}")


def test_order(scene: Scene, evaluation: Node, why: str) -> TestOrder:
    """The test rows, of which there are some, for this evaluation; `why` they are looked at."""
    data = scene.dataset
    kept, key = datasets.RowCache.of(cache()).rows(data).get("test"), looks.test_key(data)
    assert data.test is not None and key is not None
    look = LookOrder(
        test=key, rows=data.test.rows, run=evaluation.place, evaluation=evaluation.id, why=why
    )
    return TestOrder(
        dataset=data,
        rows=None if kept is None else str(kept),
        look=look,
        store=str(scene.store),
    )


def bases(scene: Scene, model: Delivered) -> dict[str, str]:
    """Where each pretrained model lies that it needs besides. Raises HubUnreachable."""

    def located(base: Model) -> str:
        return models.resolve(base, hub=scene.hub, endpoint=network.endpoint()).path_or_id

    return {base.id: located(base) for base in delivered.bases_of(model)}


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
