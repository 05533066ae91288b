"""The rows that a model is asked about: as a student meets them, and as the model reads them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter

from agnews_cli.core.run.dataset import Dataset, Split
from agnews_cli.core.run.job import (
    AnyJob,
    CombineJob,
    EvaluateJob,
    ExportJob,
    PredictJob,
    TestOrder,
    TrainJob,
)
from agnews_cli.core.run.work import RowChoice
from agnews_cli.errors import TeacherLabelsDiffer, TeacherOfOtherRows, TeacherReadsOtherRows
from agnews_cli.learn.combine import logits
from agnews_cli.learn.door.budget import TimeBudget
from agnews_cli.learn.door.events import StopFlag
from agnews_cli.learn.door.notes import Notes
from agnews_cli.learn.rows import material
from agnews_cli.store.model import delivered
from agnews_cli.store.model.delivered import Delivered


@dataclass(frozen=True, slots=True)
class AskedRows:
    """In the order in which they are asked about."""

    texts: Sequence[str]
    """Clean, as the data say."""
    to_model: Sequence[str]
    """The same rows as the model reads them: for a student those that train cleaned as its own
    were when it was trained; those that judge it as the data say, as it is used afterwards."""
    classes: NDArray[np.int32]
    """-1 where rows have no label."""
    digests: NDArray[np.uint8]
    """Of `texts`, (rows, 16)."""
    columns: list[int]
    """Of what the model answers, that of each label of the data."""


def read(job: PredictJob, model: Delivered, stop: StopFlag, told: Notes) -> AskedRows:
    """Raises TeacherLabelsDiffer, TeacherOfOtherRows or TeacherReadsOtherRows, and what reading
    raises: texts that the model wants cleaned in another way are read from the data's own files."""
    columns = _columns(model, job.dataset)
    if job.of != "unlabelled":
        _refuse_other_rows(job, Path(job.model))
    texts, classes = _rows(job, job.dataset, job.rows, stop, told)
    to_model = texts
    if job.of != "validation" and model.cleaning != job.dataset.cleaning:
        as_trained = job.dataset.model_copy(update={"cleaning": model.cleaning})
        to_model, _ = _rows(job, as_trained, {}, stop, told)
        if len(to_model) != len(texts):
            raise TeacherReadsOtherRows(
                model=model.name, cleaning=model.cleaning, found=len(to_model), rows=len(texts)
            )
    digests = logits.digests(texts)
    if job.of == "unlabelled":  # nothing but the text tells them apart
        _, first = np.unique(logits.as_values(digests), return_index=True)
        once = np.sort(first).tolist()
        texts, to_model = [texts[row] for row in once], [to_model[row] for row in once]
        classes, digests = classes[once], digests[once]
    return AskedRows(texts, to_model, classes.astype(np.int32), digests, columns)


def of_test(
    job: EvaluateJob | ExportJob, order: TestOrder, model: Delivered, stop: StopFlag, told: Notes
) -> AskedRows:
    """All test rows. Raises TeacherLabelsDiffer, and what reading raises."""
    columns = _columns(model, job.dataset)
    budget = TimeBudget(stop, None, job.started_monotonic_s)
    rows = material.read_rows(order.dataset, "test", None, 0, budget, told, kept=order.rows)
    classes = np.asarray(rows.classes, dtype=np.int32)
    return AskedRows(rows.texts, rows.texts, classes, logits.digests(rows.texts), columns)


def _rows(
    job: PredictJob, data: Dataset, kept: dict[Split, str], stop: StopFlag, told: Notes
) -> tuple[Sequence[str], NDArray[np.int64]]:
    budget = TimeBudget.of(job, stop)
    if job.of == "unlabelled":
        rows = material.read_rows(data, "unlabelled", None, 0, budget, told, kept=None)
        return rows.texts, np.asarray(rows.classes, dtype=np.int64)
    found = material.read(data, job.choice, kept, budget, told)
    if job.of == "train":
        return found.texts, found.classes
    return found.held_texts, found.held_classes


def _columns(model: Delivered, data: Dataset) -> list[int]:
    """Raises TeacherLabelsDiffer unless it has the labels of the data, in whatever order."""
    found = delivered.columns(model, data.labels, data.label_values)
    if found is not None:
        return list(found)
    answers, labels = (", ".join(names[:8]) for names in (model.labels, data.labels))
    raise TeacherLabelsDiffer(path=model.folder, theirs=answers, ours=labels)


# ---- what the model was trained on --------------------------------------------------------------


def _refuse_other_rows(job: PredictJob, folder: Path) -> None:
    """Raises TeacherOfOtherRows where the model, or a member, is a run on other rows of these data:
    then it has seen some that validate its student. What is no run does not say."""
    data = job.dataset
    if data.validation is not None and job.choice.fold is None:
        return  # those that validate have a file of their own
    for trained in trainings(folder):
        if trained.dataset.train.sha256 != data.train.sha256:
            continue
        theirs, ours = (_parting(choice, data) for choice in (trained.choice, job.choice))
        if theirs != ours:
            raise TeacherOfOtherRows(run=trained.run, theirs=_shown(theirs), ours=_shown(ours))


def trainings(folder: Path) -> Iterator[TrainJob]:
    """What trained the model in `folder`, or its members; nothing of one that no run made."""
    if not (folder / "job.json").exists():  # a snapshot lies in its run's folder
        folder = folder.parent
    with suppress(OSError, ValueError):  # of another version, or no run
        match TypeAdapter(AnyJob).validate_json((folder / "job.json").read_bytes()):
            case TrainJob() as job:
                yield job
            case CombineJob() as job:
                for member in job.members:
                    if member.delivery is not None:
                        yield from trainings(Path(member.delivery))
            case ExportJob() as job:
                yield from trainings(Path(job.model))


def _parting(choice: RowChoice, data: Dataset) -> dict[str, object]:
    """All that decides which rows are trained on."""
    rows = min(choice.limit or data.train.rows, data.train.rows)
    return {
        "data.seed": choice.seed,
        "rows": rows,
        "fold": choice.fold,
        "folds": choice.folds or choice.data.folds(rows),
        "held": round(choice.data.held_share(rows), 6),
    }


def _shown(parting: dict[str, object]) -> str:
    return ", ".join(f"{name} {value}" for name, value in parting.items() if value is not None)
