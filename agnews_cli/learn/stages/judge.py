"""A model that is finished is asked about the test rows, and judged: nothing is trained for it.

What it leaves is what an evaluation right after a training leaves, in the folder of the job: for
`workflows.train.other_test` to lay into the model's own.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from agnews_cli.core.run.evaluation import Evaluation
from agnews_cli.core.run.job import EvaluateJob, Outcome, TestOrder, TrainJob
from agnews_cli.core.run.looks import TakenLook
from agnews_cli.core.run.state import RunState
from agnews_cli.core.run.work import TEST, VALIDATION
from agnews_cli.errors import CannotRead, CannotWrite
from agnews_cli.learn import predictor
from agnews_cli.learn.combine import logits
from agnews_cli.learn.combine.logits import Logits
from agnews_cli.learn.door import test_lock
from agnews_cli.learn.door.events import EventLog, StopFlag
from agnews_cli.learn.door.notes import Notes
from agnews_cli.learn.figures import blend, latency
from agnews_cli.learn.figures.evaluate import evaluate
from agnews_cli.learn.predictor import Means
from agnews_cli.learn.rows import overlap
from agnews_cli.learn.stages import asked_rows, cards, machine
from agnews_cli.learn.stages.ask import NAME, Asking
from agnews_cli.learn.stages.asked_rows import AskedRows
from agnews_cli.learn.stages.predictions_file import write_predictions
from agnews_cli.learn.stages.prepare import Prepared
from agnews_cli.learn.stages.setting import Setting
from agnews_cli.store.disk import files, space
from agnews_cli.store.disk.files import write_text_atomically
from agnews_cli.store.model import delivered
from agnews_cli.store.model.delivered import Delivered
from agnews_cli.store.run.runs import RunFolder

_FAR_S = 1e9
Said = dict[str, NDArray[np.float64]]
"""By member, (rows, classes)."""


def of_finished(job: EvaluateJob, log: EventLog, stop: StopFlag) -> Outcome:
    """Figures and predictions, or how far it came.

    Raises what finding and opening the model raises, TeacherLabelsDiffer where it tells other
    classes apart, and what reading the rows raises.
    """
    assert job.test is not None
    accelerator, precision = machine.take(job, log, wanted="fp32")
    told, model = Notes(log), delivered.at(Path(job.model))
    log("phase", name="reading the test rows")
    order, look = test_lock.opened(job, writes=accelerator.is_main_process)
    rows = asked_rows.of_test(job, order, model, stop, told)
    log("phase", name=f"asking {model.name} about {len(rows.texts):,} test rows")
    said: Said = {}
    for name, one in _apart(model).items():
        tokens = job.trained.preset.training.batch_tokens if job.trained else Means().batch_tokens
        asking = Asking(job, accelerator, one, rows, log, stop, f"{NAME}-{name}", tokens)
        if not asking.run():
            return Outcome(
                state=RunState.PAUSED if stop.is_deadline else RunState.INTERRUPTED,
                step=asking.done,
                total_steps=len(rows.texts),
                tuning=asking.name,
            )
        said[name] = blend.softmax(asking.answers.astype(np.float64))
    if accelerator.is_main_process:
        mixed = blend.mix(said, _shares(model))
        _keep(job, rows, mixed, said)
        at_work = delivered.order_of(model, lambda base: job.bases[base.id])
        opened = predictor.open_delivery(at_work, Means(processes=accelerator, check=stop.check))
        latency.write(
            Path(job.folder), latency.measure(opened, rows.to_model, machine.named(accelerator))
        )
        if job.trained is not None:
            at = Setting(_timeless(job.trained), accelerator, precision, log, stop)
            _judge(job, at, order, look, rows, mixed, said)
        files.sync_all(Path(job.folder))
    accelerator.wait_for_everyone()
    total, notes = len(rows.texts), tuple(told.kept)
    return Outcome(
        state=RunState.COMPLETED, done=job.nodes, step=total, total_steps=total, notes=notes
    )


def _apart(model: Delivered) -> dict[str, Delivered]:
    """Each member by itself; an ensemble, whose combiner makes the answer, as one."""
    if model.parts:
        return {"whole": model}
    return {
        m.name: replace(model, members=(m.model_copy(update={"share": 1.0}),))
        for m in model.members
    }


def _shares(model: Delivered) -> dict[str, float]:
    return {"whole": 1.0} if model.parts else {m.name: m.share for m in model.members}


def _timeless(job: TrainJob) -> TrainJob:
    """The same with all the time there is, for it was trained: under a budget other rows validate,
    but none is to be hurried now."""
    if job.deadline_monotonic_s is None:
        return job
    return job.model_copy(update={"deadline_monotonic_s": job.started_monotonic_s + _FAR_S})


def _keep(job: EvaluateJob, rows: AskedRows, mixed: NDArray[np.floating], said: Said) -> None:
    path = Path(job.folder) / f"{TEST}.safetensors"
    kept = Logits.of(job.dataset.labels, rows.texts, rows.classes, mixed, said)
    if not logits.write(path, kept):
        most = space.size(logits.MOST_BYTES)
        raise CannotWrite(path=path, reason=f"it would be larger than {most}")


# ---- of a run of ours ----------------------------------------------------------------------------


def _judge(
    job: EvaluateJob,
    at: Setting,
    order: TestOrder,
    look: TakenLook | None,
    rows: AskedRows,
    mixed: NDArray[np.floating],
    said: Said,
) -> None:
    """`evaluation.json`, `predictions.csv`, and the cards with these figures."""
    run, folder, labels = RunFolder(Path(job.model)), Path(job.folder), job.dataset.labels
    before = run.evaluated()
    if before is None:
        raise CannotRead(path=run.evaluation, reason="it is no evaluation")
    prepared = Prepared(at)
    prepared.read_rows()
    known = overlap.are_in(rows.texts, prepared.seen())
    file, classes = order.dataset.test, rows.classes.astype(np.int64)
    held_out = {"held_out_of": sum(file.draw.class_rows) if file and file.draw else 0}

    def judged(probabilities: NDArray[np.floating], of: Evaluation, with_texts: bool) -> Evaluation:
        texts = rows.texts if with_texts else None
        found = evaluate(probabilities, classes, labels, texts, is_in_training=known)
        return of.model_copy(update={"test": found.model_copy(update=held_out), "look": look})

    whole = judged(mixed, before, True)
    write_text_atomically(folder / "evaluation.json", whole.model_dump_json(indent=2))
    write_predictions(folder, rows.classes.tolist(), labels, mixed, said)
    _write_card(run, folder, "README.md", whole, job)
    alone = _validated(run, labels) if len(said) > 1 else dict.fromkeys(said, before)
    for member in delivered.of_run(run).members:
        if member.name in alone:
            name = f"{Path(member.folder).name}/README.md"
            evaluation = judged(said[member.name], alone[member.name], False)
            _write_card(run, folder, name, evaluation, job)


def _validated(run: RunFolder, labels: tuple[str, ...]) -> dict[str, Evaluation]:
    """What each member reached on the rows that validated it, from what it said of them."""
    name = f"{VALIDATION}.safetensors"
    if not run.has(name):
        return {}
    kept = logits.read(run.path / name)
    classes = kept.classes.astype(np.int64)
    return {
        member: Evaluation(
            labels=labels, validation=evaluate(blend.softmax(one), classes, labels, chose=True)
        )
        for member, one in kept.each.items()
    }


def _write_card(
    run: RunFolder, folder: Path, name: str, evaluation: Evaluation, job: EvaluateJob
) -> None:
    """Where there is one: people may have removed it."""
    if run.has(name):
        card = (run.path / name).read_text("utf-8", errors="replace")
        (folder / name).parent.mkdir(exist_ok=True)
        write_text_atomically(folder / name, cards.with_figures(card, evaluation, job.dataset))
