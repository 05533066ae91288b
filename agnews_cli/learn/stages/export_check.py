"""What was exported beside the model that it was made from, on rows that neither was trained on.

Those that validated the run; for a model that is no run of ours, or whose data are gone, those of a
file. Never the test rows: only an evaluation reads them.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from agnews_cli.core.run.export import MOST_APART, MOST_LOST, ToExport, Verified
from agnews_cli.core.run.job import TrainJob
from agnews_cli.core.run.prediction import Order
from agnews_cli.core.run.rows import MOST_VERIFIED
from agnews_cli.errors import (
    CannotRead,
    DataChanged,
    ExportDiffers,
    ExportLoses,
    ExportUnverified,
    ExtraMissing,
    FileMissing,
    TestRowsLocked,
)
from agnews_cli.learn import predictor
from agnews_cli.learn.combine import logits
from agnews_cli.learn.combine.compare import compare
from agnews_cli.learn.door import test_lock
from agnews_cli.learn.door.budget import TimeBudget
from agnews_cli.learn.door.events import StopFlag, StopRequested
from agnews_cli.learn.door.notes import Notes
from agnews_cli.learn.graphs.write import unfit
from agnews_cli.learn.predictor import Means, OpenedDelivery
from agnews_cli.learn.rows import material
from agnews_cli.learn.stages import asked_rows
from agnews_cli.store.data import texts as sheets
from agnews_cli.store.data.labels import canonical, known
from agnews_cli.store.model import delivered
from agnews_cli.store.model.delivered import Delivered

_LEAST_ROWS, _PATIENCE_S = 200, 300.0
"""A slow model is asked about so many rows at least, and no more once it has taken so long."""
_CHUNK_ROWS = 100
_SEED = 0
_TEST_SHARE = 0.5
"""Of a file's rows that are test rows: with more it is the test split, or made of it."""


@dataclass(frozen=True, slots=True)
class RealRows:
    """`texts` as the model reads them; `classes`: (rows,), -1 where a row has no label."""

    texts: Sequence[str]
    classes: NDArray[np.int64]
    are: Literal["validation", "given"]

    def first(self, count: int) -> RealRows:
        return replace(self, texts=self.texts[:count], classes=self.classes[:count])


def rows(
    order: ToExport,
    found: Delivered,
    stop: StopFlag,
    told: Notes,
    trained: TrainJob | None = None,
) -> RealRows:
    """At most `MOST_VERIFIED`, drawn. `trained`: what made the model; None: as its folder says.

    Raises ExportUnverified, and what reading a given file raises.
    """
    if order.file is not None:
        all_rows = _given(order.file, order, found)
    else:
        all_rows = _validation(order, found, stop, told, trained)
    drawn = np.random.default_rng(_SEED).permutation(len(all_rows.texts))[:MOST_VERIFIED]
    return replace(
        all_rows,
        texts=[all_rows.texts[row] for row in drawn],
        classes=np.asarray(all_rows.classes)[drawn],
    )


def _validation(
    order: ToExport, found: Delivered, stop: StopFlag, told: Notes, trained: TrainJob | None
) -> RealRows:
    job = trained or next(asked_rows.trainings(Path(order.model)), None)
    if job is None:
        raise _unverified(order, "it is no run of ours")
    columns = delivered.columns(found, job.dataset.labels, job.dataset.label_values)
    if columns is None:
        raise _unverified(order, "the data of its run have other classes")
    told.log("phase", name="reading the rows that validated")
    data = job.dataset.model_copy(update={"cleaning": found.cleaning})
    kept = job.rows if data == job.dataset else {}
    try:
        budget = TimeBudget(stop, None, time.monotonic())
        read = material.read(data, job.choice, kept, budget, Notes(told.log))
    except (FileMissing, CannotRead, DataChanged) as error:
        raise _unverified(order, error.message.rstrip(".")) from error
    classes = np.asarray(columns)[read.held_classes]
    return RealRows(read.held_texts, classes, "validation")


def _given(file: str, order: ToExport, found: Delivered) -> RealRows:
    for job in asked_rows.trainings(Path(order.model)):
        test_lock.lock(job)
    try:
        texts, classes = _read(file, order, found)
    except TestRowsLocked as error:
        raise _of_test(order) from error
    said = Path(order.model) / "predictions" / "test.safetensors"
    if said.is_file():  # a copy of the file
        tested = logits.as_values(logits.read(said).rows)
        if np.isin(logits.as_values(logits.digests(texts)), tested).mean() > _TEST_SHARE:
            raise _of_test(order)
    return RealRows(texts, np.asarray(classes, dtype=np.int64), "given")


def _of_test(order: ToExport) -> ExportUnverified:
    reason = f"those in {order.file} are test rows, which only an evaluation may read"
    return _unverified(order, reason)


def _read(file: str, order: ToExport, found: Delivered) -> tuple[list[str], list[int]]:
    sheet = sheets.open_sheet(file, found, sheets.AskedTexts(order.text_columns))
    numbers = {canonical(name): n for n, name in enumerate(found.label_values)}
    numbers |= {canonical(name): n for n, name in enumerate(found.labels)}
    texts, classes = [], []
    for item in sheet.items():
        if item.problem:
            continue
        label = canonical(item.label)
        texts.append(item.text)
        classes.append(numbers.get(known(label, numbers) or label, -1))
    if not texts:
        raise _unverified(order, f"{file} has none with a text")
    return texts, classes


def _unverified(order: ToExport, reason: str) -> ExportUnverified:
    return ExportUnverified(path=order.model, form=order.form, reason=reason)


# ---- both are asked -----------------------------------------------------------------------------


def verify(
    order: ToExport, found: Delivered, whole: Order, real: RealRows, stop: StopFlag, told: Notes
) -> Verified:
    """`whole`: what opens `found`. Raises ExportDiffers or ExportLoses."""
    means = Means(check=stop.check, is_exact=True)
    opened = predictor.open_delivery(whole, means)
    before = _asked(opened, "asking the model", real, told, patience_s=_PATIENCE_S)
    del opened
    real = real.first(len(before))
    target = delivered.at(Path(order.target))
    try:
        opened = predictor.open_delivery(delivered.order_of(target, lambda base: base.id), means)
        after = _asked(opened, f"asking the {order.form} model", real, told)
    except (StopRequested, MemoryError, ExtraMissing):
        raise
    except Exception as error:  # of the library: a trace may write what it cannot compute
        raise unfit(order.model, "of its architecture", order.form, error) from error
    verified = _compared(before, after, real)
    _judge(order, verified, told)
    return verified


def _asked(
    opened: OpenedDelivery, what: str, real: RealRows, told: Notes, patience_s: float = np.inf
) -> NDArray[np.floating]:
    total, found = len(real.texts), []
    began_s, hear = time.monotonic(), told.work(what, total)
    told.log("phase", name=f"{what} about {total:,} rows")
    for start in range(0, total, _CHUNK_ROWS):
        is_enough = start >= _LEAST_ROWS and time.monotonic() - began_s > patience_s
        if is_enough:
            told.decided(f"it was verified on {start:,} of {total:,} rows, as it answers slowly")
            break
        found.append(opened(real.texts[start : start + _CHUNK_ROWS]))
        hear(min(total, start + _CHUNK_ROWS))
    return np.concatenate(found)


def _compared(
    before: NDArray[np.floating], after: NDArray[np.floating], real: RealRows
) -> Verified:
    known = np.flatnonzero(real.classes >= 0)
    comparison = None
    if len(known):
        said = {"exported": after[known], "fp32": before[known]}
        comparison = compare(said, real.classes[known], against="fp32", seed=_SEED)
    return Verified(
        rows=len(before),
        are=real.are,
        most_apart=float(np.abs(after.astype(np.float64) - before).max()),
        flips=int((after.argmax(1) != before.argmax(1)).sum()),
        comparison=comparison,
    )


def _judge(order: ToExport, found: Verified, told: Notes) -> None:
    if order.form != "onnx-int8":
        if not found.most_apart <= MOST_APART:
            raise ExportDiffers(
                path=order.model, rows=found.rows, apart=found.most_apart, most=MOST_APART
            )
        return
    if found.comparison is None:
        told.warn("the rows have no labels: what INT8 costs of the accuracy was not measured")
        return
    apart = found.comparison.differences[0].accuracy
    if -apart.high > MOST_LOST:
        raise ExportLoses(
            path=order.model, rows=found.comparison.rows, most=100 * MOST_LOST,
            lost=-100 * apart.value, low=-100 * apart.high, high=-100 * apart.low,
        )  # fmt: skip
    if -apart.value > MOST_LOST:
        told.warn(
            f"INT8 loses {-100 * apart.value:.2f} points of accuracy on these "
            f"{found.comparison.rows:,} rows (95%: {-100 * apart.high:+.2f} to "
            f"{-100 * apart.low:+.2f}), more than {100 * MOST_LOST:.1f}, which may be chance"
        )
