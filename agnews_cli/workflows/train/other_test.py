"""Other test rows than a finished run was judged on: its model is asked, and nothing is trained.

The session has a folder of its own beside the run's, so that a stop leaves the run as it was. When
it is over, what it left takes the place of the run's old figures, and the folder goes.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from agnews_cli.core.graph.graph import Graph, Node
from agnews_cli.core.run.job import EvaluateJob, Event, Outcome, TrainJob
from agnews_cli.core.run.state import RunState
from agnews_cli.core.run.work import TEST, Evaluate
from agnews_cli.errors import InternalError, Interrupted, SessionOver
from agnews_cli.store.disk import files
from agnews_cli.store.disk.home import cache
from agnews_cli.store.model import carried, delivered
from agnews_cli.store.run import leases
from agnews_cli.store.run.runs import RunFolder
from agnews_cli.workflows.sessions import session
from agnews_cli.workflows.train import jobs
from agnews_cli.workflows.train.plans import Plan

_TEST_FILE = f"{TEST}.safetensors"
_AGAIN = "The model is untouched; the same command goes on asking it."


def all_that_is_left(plan: Plan) -> Node | None:
    """The evaluation of a model that is trained and delivered; None where more is to be done."""
    return _left(plan.scene.store, plan.graph)


def reason(store: Path, graph: Graph) -> str:
    """In words, that nothing is trained; empty where something is."""
    if _left(store, graph) is None:
        return ""
    return (
        "plan: it is trained, and was judged on other test rows: its model is asked about these, "
        "and their figures take the place of the old ones"
    )


def _left(store: Path, graph: Graph) -> Node | None:
    run = RunFolder(store / graph.place)
    left = list(graph.left(run.done()).nodes.values())
    if len(left) != 1 or not isinstance(left[0].work, Evaluate):
        return None
    is_whole = run.evaluated() is not None and run.has("delivery.json")
    return left[0] if is_whole else None


def carry_out(
    plan: Plan,
    evaluation: Node,
    trained: TrainJob,
    *,
    show: Callable[[Event], None],
    lane: session.Lane | None = None,
) -> Outcome:
    """Ask, and lay the figures into the run's folder; how the run stands then.

    Raises what a session does, and what is wrong with the model.
    """
    scene = plan.scene
    run, desk = RunFolder(scene.store / plan.run), RunFolder(scene.store / evaluation.id)
    files.make_folder(desk.path)
    job = EvaluateJob(
        run=evaluation.id,
        nodes=(evaluation.id,),
        folder=str(desk.path),
        cache=str(cache()),
        dataset=scene.dataset,
        model=str(run.path),
        bases=jobs.bases(scene, delivered.of_run(run)),
        trained=trained,
        save_every_s=scene.request.session.save_every_s,
        **scene.of_any_job,
    )
    try:
        session.train(
            job,
            desk,
            scene.platform,
            processes=scene.processes,
            show=show,
            takeover=scene.request.session.takeover,
            test=jobs.test_order(scene, evaluation, "a finished model, and other test rows"),
            lane=lane,
        )
    except (Interrupted, SessionOver) as error:
        error.advice = _AGAIN
        raise
    return _laid_into(run, desk, evaluation)


def _laid_into(run: RunFolder, desk: RunFolder, evaluation: Node) -> Outcome:
    """The run says that it is evaluated first when all is there: until then it says only that it is
    trained, so that a stop in the middle of it is followed by the same once more."""
    lease = leases.claim(run.path, datetime.now(UTC))
    try:
        before = run.ended()
        if before is None or before.state != RunState.COMPLETED:
            raise InternalError(what=f"{run.id} was finished and is not", log=run.path)
        trained = before.model_copy(update={"done": (run.id,)})
        files.write_text_atomically(run.outcome, trained.model_dump_json(indent=2))
        for old in (*run.path.glob("predictions*.csv"), run.path / _TEST_FILE):
            files.remove(old)
        for name in _left_on(desk):
            carried.copy(desk.path / name, run.path / name)
        after = before.model_copy(update={"done": (run.id, evaluation.id)})
        files.write_text_atomically(run.outcome, after.model_dump_json(indent=2))
    finally:
        lease.release(datetime.now(UTC))
    shutil.rmtree(desk.path, ignore_errors=True)
    return after


def _left_on(desk: RunFolder) -> Iterator[str]:
    """What the worker left of figures, answers and cards, by their names in the run's folder."""
    for pattern in (
        "evaluation.json",
        "latency.json",
        "predictions*.csv",
        _TEST_FILE,
        "README.md",
        "*/README.md",
    ):
        for path in sorted(desk.path.glob(pattern)):
            yield path.relative_to(desk.path).as_posix()
