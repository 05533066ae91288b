"""Labels for new texts from what a run delivered; the model runs in a process of its own.

`prepare` checks everything that can be checked before the model is loaded; `carry_out` streams.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from agnews_cli.core.run.job import Event
from agnews_cli.core.run.prediction import Figures
from agnews_cli.core.run.preset import Model
from agnews_cli.errors import NothingToPredict, TwoSources
from agnews_cli.host import network
from agnews_cli.host.detect import detect
from agnews_cli.host.predictor import Predictor
from agnews_cli.store.data import answers
from agnews_cli.store.data import texts as sheets
from agnews_cli.store.data.labels import canonical, known
from agnews_cli.store.data.texts import STANDARD_INPUT, AskedTexts, Count, Item, Sheet
from agnews_cli.store.model import delivered, models
from agnews_cli.store.model.delivered import Delivered
from agnews_cli.workflows.runs import history

CHUNK_ROWS = 4096
CHUNK_CHARACTERS = 1 << 20
_QUIET_S = 2.0
"""What takes less shows no progress."""

Show = Callable[[Event], None]


def unseen(event: Event) -> None:
    """Shows nothing."""


@dataclass(frozen=True, slots=True)
class PredictRequest:
    """What is to be labelled by what, and where the answers go (None: not to a file)."""

    run: str
    texts: tuple[str, ...] = ()
    file: str | None = None
    out: str | None = None
    asked: AskedTexts = field(default_factory=AskedTexts)
    skip_bad_rows: bool = False
    store: Path | None = None

    @property
    def reads_standard_input(self) -> bool:
        return self.file == STANDARD_INPUT or self.texts == (STANDARD_INPUT,)

    @property
    def reads_file(self) -> bool:
        return self.file is not None or self.reads_standard_input


@dataclass(frozen=True, slots=True)
class PredictionPlan:
    """A checked request: nothing is left that could have been found out before the work."""

    model: Delivered
    sheet: Sheet
    count: Count
    heading: answers.Heading
    target: answers.Target | None
    notes: tuple[str, ...]
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """What was done. `figures`: against the labels that the file has; None where it has none."""

    rows: int
    bad_rows: int
    figures: Figures | None = None
    labelled_rows: int = 0
    unlabelled_rows: int = 0
    unknown_rows: int = 0

    def lines(self) -> tuple[str, ...]:
        """How right the answers are, where the file has labels."""
        found = []
        if (marks := self.figures) is not None:
            accuracy, f1 = marks.accuracy, marks.macro_f1
            found.append(
                f"accuracy {accuracy.value:.1%} ({marks.right:,} of {marks.rows:,}), 95% interval "
                f"{100 * accuracy.low:.1f} to {100 * accuracy.high:.1f}"
            )
            found.append(
                f"macro-F1 {f1.value:.1%}, 95% interval {100 * f1.low:.1f} to {100 * f1.high:.1f}"
            )
        out = [
            f"{count:,} with {what}"
            for count, what in (
                (self.unlabelled_rows, "no label"),
                (self.unknown_rows, "a label that is no class of the run"),
            )
            if count
        ]
        if out and (marks is not None or self.unknown_rows):
            found.append(f"not counted: {', '.join(out)}")
        return tuple(found)

    def as_json(self) -> dict[str, object]:
        marks = self.figures
        return {
            "schema": "agnews.prediction/1",
            "rows": self.rows,
            "bad_rows": self.bad_rows,
            "rows_without_label": self.unlabelled_rows,
            "rows_with_unknown_label": self.unknown_rows,
            "evaluation": None
            if marks is None
            else {
                "rows": marks.rows,
                "right": marks.right,
                "accuracy": marks.accuracy.model_dump(mode="json"),
                "macro_f1": marks.macro_f1.model_dump(mode="json"),
            },
        }


# ---- before the work ----------------------------------------------------------------------------


def prepare(
    request: PredictRequest, *, show: Show = unseen, stdin: IO[bytes] | None = None
) -> PredictionPlan:
    """Find the model, open the texts, walk over them once. Raises what is wrong with them."""
    if request.texts and request.file is not None:
        raise TwoSources
    if not request.texts and request.file is None:
        raise NothingToPredict
    model = delivered.find(history.where(request.store), request.run)
    source = [request.file] if request.file not in (None, STANDARD_INPUT) else []
    goes_to = (
        answers.target(request.out, sources=[s for s in source if s], folders=[model.folder])
        if request.out is not None
        else None
    )
    sheet = sheet_of(request, model, stdin)
    found = sheets.count(sheet, Meter("reading", None, show).at)
    if not request.skip_bad_rows:
        sheets.refuse_bad(sheet, found)
    form = sheet.table.form
    is_parquet = form.format == "parquet" and not form.compression and bool(source)
    head, clash = answers.heading(
        sheet.table.columns,
        found.kinds,
        model.labels,
        parquet=sheet.table.path if is_parquet else "",
    )
    notes = [sheet.note, *sheet.table.notes, clash if request.reads_file else ""]
    warnings = []
    if found.bad:
        warnings.append(
            f"{found.bad:,} of {found.rows:,} rows have no text; their label stays empty: "
            f"{found.lines}"
        )
    return PredictionPlan(
        model, sheet, found, head, goes_to, tuple(n for n in notes if n), tuple(warnings)
    )


def sheet_of(request: PredictRequest, model: Delivered, stdin: IO[bytes] | None = None) -> Sheet:
    """The request's texts, opened. Raises what is wrong with the file or its columns."""
    if request.reads_standard_input:
        return sheets.standard_input(stdin or sys.stdin.buffer, model, request.asked)
    if request.file is not None:
        return sheets.open_sheet(request.file, model, request.asked)
    return sheets.in_memory(request.texts, model)


# ---- the work -----------------------------------------------------------------------------------


def write(plan: PredictionPlan, show: Show = unseen) -> Report:
    """Predict into the plan's target, which is there whole at the end or not at all."""
    assert plan.target is not None
    with answers.writing(plan.target, plan.heading) as writer:
        return carry_out(plan, writer, show)


def carry_out(plan: PredictionPlan, writer: answers.Writer, show: Show = unseen) -> Report:
    """Predict every row and hand it to `writer`, in order; memory does not grow with the rows."""
    model, tally = plan.model, Tally()
    nothing = ("",) * len(plan.sheet.table.columns)
    meter = Meter("predicting", plan.count.rows, show)
    with predictor(model) as worker:
        for item, shares in answered(worker, model, plan.sheet.items(), meter, tally):
            label = model.labels[best(shares)] if shares else ""
            writer.row(nothing if item.values is None else item.values, label, shares)
        return Report(
            rows=plan.count.rows,
            bad_rows=plan.count.bad,
            figures=worker.figures,
            labelled_rows=tally.labelled,
            unlabelled_rows=tally.unlabelled if plan.sheet.label is not None else 0,
            unknown_rows=tally.unknown,
        )


def answered(
    worker: Predictor,
    model: Delivered,
    items: Iterable[Item],
    meter: Meter,
    tally: Tally | None = None,
) -> Iterator[tuple[Item, Sequence[float]]]:
    """Each row with its class probabilities, in order; none where it has no text."""
    done = 0

    def told(rows: int) -> None:
        meter.at(done + rows)

    chunks = _chunks(items, _classes(model), tally or Tally())
    for chunk, shares in worker.answers(chunks, told):
        left = iter(shares)
        for item in chunk.items:
            yield item, () if item.problem else next(left)
        done += len(chunk.items)
        told(0)


def best(shares: Sequence[float]) -> int:
    """The likeliest class; the first of equals."""
    return max(range(len(shares)), key=shares.__getitem__)


def predictor(model: Delivered) -> Predictor:
    """The model's process, started. Raises HubUnreachable if it needs weights from there."""
    machine, order = detect(), delivered.order_of(model, located)
    return Predictor(order, cpu_count=machine.cpu_count, kind=machine.accelerator.kind)


def located(base: Model) -> str:
    """Where a pretrained model lies. Raises HubUnreachable."""
    found = models.resolve(base, hub=network.hub_answers, endpoint=network.endpoint())
    return found.path_or_id


@dataclass(slots=True)
class Tally:
    """Of the rows with text: how many have a label, none, or one that is unknown."""

    labelled: int = 0
    unlabelled: int = 0
    unknown: int = 0

    def number(self, item: Item, classes: Mapping[str, int]) -> int:
        """The class that the row is labelled with, -1 where there is none."""
        if item.problem:
            return -1
        label = canonical(item.label)
        number = classes.get(known(label, classes) or label, -1)
        if number >= 0:
            self.labelled += 1
        elif label in ("", "-1"):  # as test files without labels have it
            self.unlabelled += 1
        else:
            self.unknown += 1
        return number


@dataclass(frozen=True, slots=True)
class _Chunk:
    items: tuple[Item, ...]
    texts: tuple[str, ...]
    classes: tuple[int, ...]


def _chunks(items: Iterable[Item], numbers: Mapping[str, int], tally: Tally) -> Iterator[_Chunk]:
    held: list[Item] = []
    classes: list[int] = []
    characters = 0

    def chunk() -> _Chunk:
        texts = tuple(item.text for item in held if not item.problem)
        return _Chunk(tuple(held), texts, tuple(classes))

    for item in items:
        held.append(item)
        number = tally.number(item, numbers)
        if not item.problem:
            classes.append(number)
            characters += len(item.text)
        if len(held) >= CHUNK_ROWS or characters >= CHUNK_CHARACTERS:
            yield chunk()
            held, classes, characters = [], [], 0
    if held:
        yield chunk()


def _classes(model: Delivered) -> dict[str, int]:
    """Class numbers by what a file may call them: as the training file spells them, or by name."""
    named = {canonical(name): number for number, name in enumerate(model.labels)}
    return named | {canonical(value): number for number, value in enumerate(model.label_values)}


class Meter:
    """Tells how far the work is, once it has taken long enough for anybody to ask."""

    def __init__(self, name: str, rows: int | None, show: Show) -> None:
        self._name, self._rows, self._show = name, rows, show
        self._began_s: float | None = None
        self._is_shown = False

    def at(self, rows: int) -> None:
        """`rows` are done; the first call starts the clock, as loading a model is no rate."""
        if self._began_s is None:
            self._began_s = time.monotonic()
        took_s = time.monotonic() - self._began_s
        if took_s < _QUIET_S:
            return
        if not self._is_shown:
            self._is_shown = True
            self._tell("phase", took_s, name=self._name)
        rate = rows / took_s
        left_s = (self._rows - rows) / rate if self._rows and rate else None
        self._tell(
            "progress",
            took_s,
            step=rows,
            total_steps=self._rows,
            examples_per_s=rate,
            left_s=left_s,
        )

    def _tell(self, kind: str, took_s: float, **data: object) -> None:
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        self._show(Event(kind=kind, at=now, elapsed_s=took_s, data=data))
