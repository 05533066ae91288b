"""A competition's unlabelled rows, predicted and written in the form that it wants.

The sample says the form: its columns, the order of its ids, and whether a label, the probability of
the second class or one probability for each class is asked for.
"""

from __future__ import annotations

import csv
import io
import shlex
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from agnews_cli.core.run.dataset import Dataset
from agnews_cli.errors import (
    BadOutput,
    BadRow,
    ColumnMissing,
    NothingToPredict,
    SampleUnclear,
    SubmissionMismatch,
)
from agnews_cli.host.detect import detect
from agnews_cli.store.data import answers
from agnews_cli.store.data import texts as sheets
from agnews_cli.store.data.labels import canonical
from agnews_cli.store.data.texts import AskedTexts, Item, Sheet
from agnews_cli.store.disk.names import local
from agnews_cli.store.formats import tables
from agnews_cli.store.formats.table import Table, spelling
from agnews_cli.store.model import delivered
from agnews_cli.store.model.delivered import Delivered
from agnews_cli.store.run.runs import RunFolder
from agnews_cli.workflows.prediction.predict import (
    Meter,
    PredictRequest,
    Show,
    answered,
    best,
    predictor,
    sheet_of,
    unseen,
)
from agnews_cli.workflows.runs import history

_MOST_SPELLINGS = 1000
_DIGITS = 6


@dataclass(frozen=True, slots=True)
class Submission:
    """What was written, and the command that sends it."""

    path: Path
    rows: int
    command: str
    notes: tuple[str, ...] = ()

    def as_json(self) -> dict[str, object]:
        return {
            "schema": "agnews.submission/1",
            "path": str(self.path),
            "rows": self.rows,
            "command": self.command,
            "notes": list(self.notes),
        }


def write(
    folder: RunFolder,
    dataset: Dataset,
    sample: Path | None,
    out: Path,
    *,
    show: Show = unseen,
) -> Submission:
    """Predict `dataset.to_predict` with the run's model into `out`, in the form of `sample`.

    Raises SubmissionMismatch, SampleUnclear, and what prediction raises.
    """
    model, test = delivered.of_run(folder), dataset.to_predict
    if test is None:
        raise NothingToPredict
    table = tables.reopen(test.path, test.form)
    sheet = sheets.choose(table, model, AskedTexts())
    return _write(model, sheet, sample, str(out), dataset.id_column, [test.path], show)


def on_demand(
    request: PredictRequest, sample: Path | None, id_column: str | None, *, show: Show = unseen
) -> Submission:
    """The same for any file of texts. Raises like `write`."""
    if request.file is None or request.out is None:
        raise NothingToPredict(hint="--like and --id-column need --file test.csv and --out FILE")
    model = delivered.find(history.where(request.store), request.run)
    sheet = sheet_of(request, model)
    return _write(model, sheet, sample, request.out, id_column, [request.file], show)


def _write(
    model: Delivered,
    sheet: Sheet,
    sample: Path | None,
    out: str,
    id_column: str | None,
    sources: Sequence[str],
    show: Show,
) -> Submission:
    if sample is not None:
        sources = [*sources, str(sample)]
    to = answers.target(out, sources=sources, folders=[model.folder])
    if to.format != "csv" or to.is_packed:
        raise BadOutput(path=out, reason="a submission is CSV", hint="--out submission.csv")
    found = sheets.count(sheet)
    form = (
        _sampled(sample, model, id_column)
        if sample is not None
        else _plain(model, id_column or model.id_column)
    )
    id_at = _id_number(sheet.table, form)
    places = _places(sheet, id_at)
    if form.ids is not None:
        _check_ids(form, sheet, places)
    values = _predicted(model, sheet, form, found.rows, show)
    with answers.replaced(to.path) as file:
        text = io.TextIOWrapper(file, encoding="utf-8", newline="")
        rows = csv.writer(text, lineterminator="\n")
        rows.writerow(form.columns)
        for spelt in form.ids() if form.ids is not None else places:
            place = places[canonical(spelt)] if form.ids is not None else places[spelt]
            row = [spelt] * len(form.columns)
            for at, value in zip(form.targets, form.answer(values, place), strict=True):
                row[at] = value
            rows.writerow(row)
        text.flush()
        text.detach()
    slug = _slug(Path(sources[0]))
    notes = [sheet.note, *form.notes]
    if found.bad:
        notes.append(
            f"without text: {found.lines}; answered all the same, for every id needs an answer"
        )
    if detect().name == "kaggle":
        notes.append(
            "Here on Kaggle, a notebook that leaves submission.csv in /kaggle/working submits it "
            'when it is committed: "Save Version", then "Submit"'
        )
    command = (
        f"kaggle competitions submit -c {shlex.quote(slug)} -f {shlex.quote(str(to.path))} "
        f'-m "agnews {model.name}"'
    )
    return Submission(to.path, len(places), command, tuple(notes))


# ---- the form -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Form:
    columns: tuple[str, ...]
    id: str
    kind: Literal["label", "share", "shares"]
    targets: tuple[int, ...]
    """Numbers of the columns to fill."""
    classes: tuple[int, ...]
    """Their classes, where probabilities are asked for."""
    spellings: tuple[str, ...]
    """Of each class, where a label is asked for."""
    ids: Callable[[], Iterator[str]] | None = None
    """The sample's ids, in its order; None without a sample."""
    path: str = ""
    notes: tuple[str, ...] = field(default=())

    @property
    def width(self) -> int:
        return 1 if self.kind == "label" else len(self.classes)

    def answer(self, values: array[float], place: int) -> list[str]:
        found = values[place * self.width : (place + 1) * self.width]
        if self.kind == "label":
            return [self.spellings[int(found[0])]]
        return [f"{share:.{_DIGITS}f}" for share in found]


def _plain(model: Delivered, id_column: str | None) -> _Form:
    """Without a sample: the ids and the labels, as the training file spells them."""
    name = id_column or "id"
    columns = (name, model.label_column or "label")
    return _Form(columns, name, "label", (1,), (), model.label_values)


def _sampled(sample: Path, model: Delivered, id_column: str | None) -> _Form:
    table = tables.open_file(str(sample), is_header=lambda _: True)
    names = table.columns
    usual = id_column or model.id_column
    at = names.index(usual) if usual in names else 0
    targets = tuple(number for number in range(len(names)) if number != at)
    if not targets:
        raise SampleUnclear(path=sample, reason="it has one column only")

    def cells(number: int) -> Iterator[str]:
        for line, values in table.rows([number]):
            spelt = (
                values
                if isinstance(values, BadRow)
                else spelling(table, names[number], line, values[0])
            )
            if isinstance(spelt, BadRow):
                raise spelt
            yield spelt

    form = _Form(
        names,
        id_column or names[at],
        "label",
        targets,
        (),
        model.label_values,
        ids=lambda: cells(at),
        path=str(sample),
    )
    if len(targets) > 1:
        classes = _classes_of([names[number] for number in targets], model, sample)
        return replace(form, kind="shares", classes=classes)
    values = set()
    for value in cells(targets[0]):
        values.add(value)
        if len(values) > _MOST_SPELLINGS:
            break
    if len(model.labels) == 2 and any(_is_share(value) for value in values):
        note = (
            f"{names[targets[0]]} is the probability of {model.labels[1]}: {sample.name} has "
            "fractions there"
        )
        return replace(form, kind="share", classes=(1,), notes=(note,))
    return replace(form, spellings=_spelt_like(values, model))


def _classes_of(names: Sequence[str], model: Delivered, sample: Path) -> tuple[int, ...]:
    known = {canonical(name).casefold(): n for n, name in enumerate(model.labels)}
    known |= {canonical(value).casefold(): n for n, value in enumerate(model.label_values)}
    found = [known.get(canonical(name).casefold(), -1) for name in names]
    if sorted(found) != list(range(len(model.labels))):
        reason = f"its columns {_some(names)} are not the classes {_some(model.labels)}"
        raise SampleUnclear(path=sample, reason=reason)
    return tuple(found)


def _is_share(value: str) -> bool:
    try:
        return 0 < float(value) < 1
    except ValueError:
        return False


def _spelt_like(values: set[str], model: Delivered) -> tuple[str, ...]:
    """Each class as the sample spells it, else in its way, else as the training file does."""
    seen = {canonical(value): value for value in values}
    has_title_case = bool(values) and values <= {"True", "False"}
    has_upper_case = bool(values) and values <= {"TRUE", "FALSE"}

    def spelt(value: str) -> str:
        if canonical(value) in seen:
            return seen[canonical(value)]
        if value in ("true", "false") and has_title_case:
            return value.title()
        return value.upper() if value in ("true", "false") and has_upper_case else value

    return tuple(spelt(value) for value in model.label_values)


# ---- ids ----------------------------------------------------------------------------------------


def _id_number(table: Table, form: _Form) -> int | None:
    """Number of the id column; None where there is neither a sample nor such a column."""
    if form.id in table.columns:
        return table.columns.index(form.id)
    folded = [name.casefold() for name in table.columns]
    if folded.count(form.id.casefold()) == 1:
        return folded.index(form.id.casefold())
    if form.ids is None:
        return None
    raise ColumnMissing(
        path=table.place,
        name=form.id,
        columns=_some(table.columns),
        option="id-column",
        hint=f"{form.path} calls the ids {form.id!r}; name their column here: --id-column NAME",
    )


def _places(sheet: Sheet, at: int | None) -> dict[str, int]:
    """Row numbers, from 0, by id. Raises SubmissionMismatch where an id is there twice or empty."""
    places: dict[str, int] = {}
    twice: list[str] = []
    for row, item in enumerate(sheet.items()):
        if at is None:
            places[str(row)] = row
            continue
        if item.values is None:
            raise sheet.table.bad_row(item.line, item.problem, "as many fields as columns")
        spelt = spelling(sheet.table, sheet.table.columns[at], item.line, item.values[at])
        if isinstance(spelt, BadRow):
            raise spelt
        key = canonical(spelt)
        if key in places:
            twice.append(spelt)
        places[key] = row
    if twice:
        reason = f"{_ids(twice)} there more than once"
        raise SubmissionMismatch(
            path=sheet.table.columns[at or 0], test=sheet.table.place, reason=reason
        )
    return places


def _check_ids(form: _Form, sheet: Sheet, places: dict[str, int]) -> None:
    assert form.ids is not None
    asked: set[str] = set()
    unknown: list[str] = []
    for spelt in form.ids():
        asked.add(canonical(spelt))
        if canonical(spelt) not in places:
            unknown.append(spelt)
    extra = [key for key in places if key not in asked]
    faults = []
    if unknown:
        faults.append(f"{_ids(unknown)} of the sample not in the file")
    if extra:
        faults.append(f"{_ids(extra)} of the file not in the sample")
    if faults:
        raise SubmissionMismatch(
            path=form.path, test=sheet.table.place, reason=" and ".join(faults)
        )


def _ids(found: Sequence[str]) -> str:
    if len(found) == 1:
        return f"1 id ({found[0]})"
    return f"{len(found):,} ids ({found[0]}, {found[1]}{', …' if len(found) > 2 else ''})"


def _predicted(model: Delivered, sheet: Sheet, form: _Form, rows: int, show: Show) -> array[float]:
    """What the form asks for, row after row: class numbers or probabilities."""
    values = array("f")

    def every() -> Iterator[Item]:
        return (replace(item, problem="") if item.problem else item for item in sheet.items())

    with predictor(model) as worker:
        meter = Meter("predicting", rows, show)
        for _, shares in answered(worker, model, every(), meter):
            if form.kind == "label":
                values.append(best(shares))
            else:
                values.extend(shares[number] for number in form.classes)
    return values


def _slug(test: Path) -> str:
    """The competition's name: of Kaggle's input folder, else of the folder the file lies in."""
    parts = local(test).absolute().parts
    if parts[1:3] == ("kaggle", "input") and len(parts) > 4:
        return parts[4] if parts[3] == "competitions" and len(parts) > 5 else parts[3]
    return local(test).absolute().parent.name or "COMPETITION"


def _some(names: Sequence[str], most: int = 8) -> str:
    return ", ".join(names[:most]) + (", …" if len(names) > most else "")
