"""A run's model is delivered in another form by a run of its own, and judged as what it is.

The folder of what was exported is written, verified and only then named as the delivery: a session
that is cut off in the middle leaves a run that delivers nothing, and the next does it anew.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from agnews_cli.core.run.evaluation import Evaluation
from agnews_cli.core.run.export import Exported, ToExport
from agnews_cli.core.run.job import Candidate, ExportJob, Outcome
from agnews_cli.core.run.state import RunState
from agnews_cli.core.run.work import TEST, VALIDATION
from agnews_cli.errors import CheckpointDamaged
from agnews_cli.learn import predictor
from agnews_cli.learn.combine import logits
from agnews_cli.learn.combine.logits import Logits
from agnews_cli.learn.door import environment, test_lock
from agnews_cli.learn.door.budget import TimeBudget
from agnews_cli.learn.door.events import EventLog, StopFlag
from agnews_cli.learn.door.notes import Notes
from agnews_cli.learn.figures import latency
from agnews_cli.learn.figures.evaluate import evaluate
from agnews_cli.learn.predictor import Means, OpenedDelivery
from agnews_cli.learn.rows import material, overlap
from agnews_cli.learn.rows.material import Material
from agnews_cli.learn.stages import asked_rows, export, export_card
from agnews_cli.learn.stages.predictions_file import write_predictions
from agnews_cli.store.disk import files, space
from agnews_cli.store.disk.files import write_text_atomically
from agnews_cli.store.model import delivered

FOLDER = "exported"
_CHUNK_ROWS = 256


def make(job: ExportJob, log: EventLog, stop: StopFlag) -> Outcome:
    """Export, verify, deliver, evaluate. Raises what `export.make` does, and what reading the rows
    raises."""
    told, folder = Notes(log), Path(job.folder)
    (folder / "delivery.json").unlink(missing_ok=True)
    shutil.rmtree(folder / FOLDER, ignore_errors=True)
    order = ToExport(model=job.model, bases=job.bases, form=job.form, target=str(folder / FOLDER))
    exported = export.make(order, stop, told, job.trained)
    told.chose(_why(job, exported))
    opened = _delivered(folder, stop)
    budget = TimeBudget(stop, None, job.started_monotonic_s)
    trained = job.trained
    rows = material.read(trained.dataset, trained.choice, trained.rows, budget, told)
    evaluation = _evaluated(job, opened, rows, stop, told)
    write_text_atomically(folder / "evaluation.json", evaluation.model_dump_json(indent=2))
    found = delivered.at(Path(job.model))
    export_card.write(order, found, folder / FOLDER, exported.verified, evaluation)
    card = (folder / FOLDER / "README.md").read_text("utf-8")
    where = f"It lies in `{FOLDER}`, a folder that is whole by itself; so are the lines below.\n\n"
    write_text_atomically(
        folder / "README.md", card.replace("## How to use\n\n", "## How to use\n\n" + where)
    )
    files.sync_all(folder)
    return Outcome(
        state=RunState.COMPLETED,
        done=job.nodes,
        candidates=(_candidate(job, evaluation),),
        why=told.why,
        notes=tuple(told.kept),
    )


def _candidate(job: ExportJob, evaluation: Evaluation) -> Candidate:
    """The one model, as the last screen shows it."""
    held = evaluation.validation
    return Candidate(
        name=job.form,
        kind="run",
        validation_accuracy=held.accuracy.value,
        validation_loss=held.loss,
        seconds=0.0,
        weight=1.0,
    )


def _why(job: ExportJob, found: Exported) -> str:
    """What was exported, and how near it is."""
    verified = found.verified
    said = (
        f"{export_card.FORMS[job.form]}, of {Path(job.model).name}: "
        f"{space.size(found.size_bytes)}, was {space.size(found.was_bytes)}; beside it on "
        f"{verified.rows:,} rows that validated, {verified.flips:,} got another class"
    )
    if verified.comparison is None:
        return said
    apart = verified.comparison.differences[0].accuracy
    return (
        f"{said}, accuracy {100 * apart.value:+.2f} points (95%, paired: "
        f"{100 * apart.low:+.2f} to {100 * apart.high:+.2f})"
    )


def _delivered(folder: Path, stop: StopFlag) -> OpenedDelivery:
    """What was exported becomes what the run delivers, and is opened as its users will open it."""
    found = delivered.at(folder / FOLDER)
    members = [
        {
            "name": member.name,
            "kind": member.kind,
            "folder": Path(member.folder).relative_to(folder).as_posix(),
            "share": member.share,
        }
        for member in found.members
    ]
    delivered.write(folder, found, max_length=found.max_length, members=members)
    order = delivered.order_of(delivered.at(folder), lambda base: base.id)
    return predictor.open_delivery(order, Means(check=stop.check))


def _evaluated(
    job: ExportJob, opened: OpenedDelivery, rows: Material, stop: StopFlag, told: Notes
) -> Evaluation:
    """On the rows that validated; and, where there are any, on the test rows."""
    labels, folder = job.dataset.labels, Path(job.folder)
    columns = delivered.columns(delivered.at(folder), labels, job.dataset.label_values)
    if columns is None:
        raise CheckpointDamaged(path=folder, reason="it has other classes than the data")

    def asked(of: str, texts: Sequence[str]) -> NDArray[np.floating]:
        told.log("phase", name=f"asking the {job.form} model about {len(texts):,} {of} rows")
        hear, found = told.work(of, len(texts)), []
        for start in range(0, len(texts), _CHUNK_ROWS):
            stop.check()
            found.append(opened(texts[start : start + _CHUNK_ROWS]))
            hear(min(len(texts), start + _CHUNK_ROWS))
        return np.concatenate(found)[:, list(columns)]

    held = asked("validation", rows.held_texts)
    _keep(folder, VALIDATION, Logits.of(labels, rows.held_texts, rows.held_classes, held, {}))
    found = Evaluation(
        labels=tuple(labels), validation=evaluate(held, rows.held_classes, labels, chose=True)
    )
    if job.test is None:
        latency.write(folder, latency.measure(opened, rows.held_texts, environment.cpu()))
        return found
    order, look = test_lock.opened(job, writes=True)
    tested = asked_rows.of_test(job, order, delivered.at(folder), stop, told)
    said, classes = asked("test", tested.texts), tested.classes.astype(np.int64)
    latency.write(folder, latency.measure(opened, tested.texts, environment.cpu()))
    _keep(folder, TEST, Logits.of(labels, tested.texts, classes, said, {}))
    write_predictions(folder, classes.tolist(), labels, said, {})
    known = overlap.are_in(tested.texts, rows.seen())
    test = evaluate(said, classes, labels, tested.texts, is_in_training=known)
    file = order.dataset.test
    held_out_of = sum(file.draw.class_rows) if file and file.draw else 0
    test = test.model_copy(update={"held_out_of": held_out_of})
    return found.model_copy(update={"test": test, "look": look})


def _keep(folder: Path, part: str, said: Logits) -> None:
    logits.write(folder / f"{part}.safetensors", said)
