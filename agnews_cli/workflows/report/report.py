"""`agnews report`: all that is known of finished runs, gathered; nothing is trained.

What each said of rows, its events and figures lie in its folder; the hours are the ledger's. What a
report cannot know says *not measured*, with the command that measures it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import agnews_cli
from agnews_cli.core.guards.risk import Risk
from agnews_cli.core.machine.finding import Finding
from agnews_cli.core.report.figures import RunFigures, ToReport
from agnews_cli.core.report.trials import Tried
from agnews_cli.core.run.dataset import Dataset
from agnews_cli.core.run.evaluation import Evaluation
from agnews_cli.core.run.job import TestOrder
from agnews_cli.core.run.latency import Latency
from agnews_cli.core.run.looks import RecordedLook
from agnews_cli.core.run.state import RunState
from agnews_cli.core.text import strict_json
from agnews_cli.errors import AgnewsError
from agnews_cli.host import figures as process
from agnews_cli.store.disk import files
from agnews_cli.store.run import parts, runs
from agnews_cli.store.run.runs import RunFolder
from agnews_cli.store.transfer import parcels
from agnews_cli.workflows.check import check
from agnews_cli.workflows.check.check import DataCheck
from agnews_cli.workflows.report.judged import judged
from agnews_cli.workflows.report.lived import LivedThrough, findings, lived
from agnews_cli.workflows.report.opened import ModelQuestions, asked_of
from agnews_cli.workflows.runs import compare, looks_taken
from agnews_cli.workflows.runs.compare import RunsCompared, require_different
from agnews_cli.workflows.runs.history import where, word_for
from agnews_cli.workflows.train import summary

SCHEMA = "agnews.report/1"
_MOST_BYTES = 16_000_000


@dataclass(frozen=True, slots=True)
class DataLooked:
    """What a check of a run's data found. `problem`: why there is none."""

    checked: DataCheck | None
    is_quick: bool
    problem: str = ""


@dataclass(frozen=True, slots=True)
class TriedModel:
    """What became of changed texts, and what it looks at. `problem`: why nothing was tried."""

    found: Tried | None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class PartReported:
    """A part of what is made of several runs, with what was measured of it."""

    run: str
    title: str
    preset: str
    evaluation: Evaluation | None
    figures: RunFigures


@dataclass(frozen=True, slots=True)
class RunReported:
    """`evaluation`: None while it is not finished."""

    run: str
    state: RunState
    preset: str
    created: str
    word: str
    """What a command takes for it."""
    source: str
    """What `agnews check` takes for its data."""
    dataset: Dataset | None
    rows: int | None
    """That trained and validated."""
    why: str
    notes: tuple[str, ...]
    environment: dict[str, Any]
    quota: str
    """What is left of it where it was trained; empty of a run that is not finished."""
    lived: LivedThrough
    evaluation: Evaluation | None
    figures: RunFigures
    parts: tuple[PartReported, ...]
    """Those that train; none of one run alone."""
    guarded: tuple[Finding, ...]
    """What the guards of training found, in the run and in all that it is made of."""
    latency: Latency | None
    size_bytes: int | None
    looks: tuple[RecordedLook, ...]
    """At its test rows, by whatever run, the oldest first; none where they are not recorded."""
    data: DataLooked
    tried: TriedModel
    teacher: RunsCompared | None
    """A student beside its teacher, on the same test rows."""
    risk: Risk

    def as_json(self) -> dict[str, Any]:
        """The field `runs` of a report (docs/json.md)."""
        data = self.dataset
        checked, tried = self.data.checked, self.tried.found
        return {
            "run": self.run,
            "state": self.state,
            "preset": self.preset,
            "created": self.created,
            "data": {
                "name": "" if data is None else data.name,
                "labels": [] if data is None else list(data.labels),
                "rows": self.rows,
            },
            "why": self.why,
            "notes": list(self.notes),
            "environment": self.environment,
            "quota": self.quota,
            "lived": self.lived.as_json(),
            "evaluation": self.evaluation and self.evaluation.as_json(),
            "figures": _figures(self.figures),
            "parts": [
                {
                    "run": one.run,
                    "title": one.title,
                    "preset": one.preset,
                    "evaluation": one.evaluation and one.evaluation.as_json(),
                    "figures": _figures(one.figures),
                }
                for one in self.parts
            ],
            "guards": [one.as_json() for one in self.guarded],
            "efficiency": {
                "latency": self.latency and self.latency.as_json(),
                "size_bytes": self.size_bytes,
            },
            "tried": tried and tried.model_dump(mode="json", exclude={"picture"}),
            "test_looks": [
                {"at": one.at.isoformat(), "run": one.run, "why": one.why} for one in self.looks
            ],
            "leakage": {
                "is_quick": self.data.is_quick,
                "problem": self.data.problem,
                "findings": [] if checked is None else [f.as_json() for f in checked.findings],
            },
            "teacher": self.teacher and self.teacher.as_json(),
            "risk": self.risk.as_json(),
        }


@dataclass(frozen=True, slots=True)
class RunsReported:
    """`compared`: the runs on the same rows; None of one alone, or where they were asked about
    others, as `problem` says. `missing`: what pictures would need."""

    made: datetime
    version: str
    runs: tuple[RunReported, ...]
    compared: RunsCompared | None
    picture: str
    """SVG of that comparison, or empty."""
    problem: str
    missing: str

    def as_json(self) -> dict[str, Any]:
        """Schema `agnews.report/1` (docs/json.md)."""
        return {
            "schema": SCHEMA,
            "version": self.version,
            "made": self.made.isoformat(timespec="seconds"),
            "runs": [one.as_json() for one in self.runs],
            "compared": self.compared and self.compared.as_json(),
            "problem": self.problem,
        }


def _figures(of: RunFigures) -> dict[str, Any]:
    return of.model_dump(mode="json", exclude={"pictures", "run"})


def report(
    names: Sequence[str],
    store: Path | None,
    *,
    is_thorough: bool = False,
    changes_texts: bool = False,
    looks_inside: bool = False,
    say: Callable[[str], None] = lambda text: None,
) -> RunsReported:
    """`names`: as `runs.find` takes them. `is_thorough`: also look for near repeats and label
    errors in the data, which takes minutes where they are many. `changes_texts`, `looks_inside`:
    open the model, and ask it about changed texts, or what of a text it rests on.

    Raises RunUnknown, RunTwice, and what the process that makes figures put into words.
    """
    place = where(store)
    found = [runs.find(place, name) for name in dict.fromkeys(names)]
    require_different(found)
    made = [_parts(folder) for folder in found]
    say(f"Making figures of {', '.join(folder.id for folder in found)} …")
    wanted = {str(each.path): each for each in found}
    wanted |= {str(each.path): each for of in made for each, _ in of}
    compared, problem = _compared(found)
    together = None if compared is None else compared.comparison
    told = process.report(ToReport(folders=tuple(wanted), side_by_side=together))
    by_run = dict(zip(wanted, told.runs, strict=True))
    reported = []
    for number, (folder, of) in enumerate(zip(found, made, strict=True)):
        data = _look(folder, is_thorough=is_thorough, say=say)
        order = asked_of(folder, number, changes_texts=changes_texts, looks_inside=looks_inside)
        reported.append(_reported(folder, of, by_run, data, _tried(order, say)))
    return RunsReported(
        made=datetime.now(UTC),
        version=agnews_cli.__version__,
        runs=tuple(reported),
        compared=compared,
        picture=told.picture,
        problem=problem,
        missing=told.missing,
    )


def _parts(folder: RunFolder) -> list[tuple[RunFolder, str]]:
    """The runs that train for it, each with what it is called; none of one run alone."""
    graph = parts.read(folder)
    if graph is None:
        return []
    store, seen = folder.path.parent, dict[str, str]()
    for node in graph.nodes:
        if node.kind == "train" and node.run != folder.id:
            seen.setdefault(node.run, node.title)
    return [(RunFolder(store / run), title) for run, title in seen.items()]


def _reported(
    folder: RunFolder,
    of: list[tuple[RunFolder, str]],
    by_run: dict[str, RunFigures],
    data: DataLooked,
    tried: TriedModel,
) -> RunReported:
    outcome, created = folder.ended(), folder.created_at()
    own = by_run[str(folder.path)]
    made_of = [each for each, _ in of if each.path.is_dir()]
    facts = _dataset(folder) or next(filter(None, map(_dataset, made_of)), None)
    order = folder.order()
    limit = order.limit_train if order is not None else None
    rows = None if facts is None else min(limit or facts.train.rows, facts.train.rows)
    teacher, evaluation = parts.teacher_of(folder), folder.evaluated()
    looks: tuple[RecordedLook, ...] = ()
    if evaluation is not None:
        evaluation = looks_taken.recounted(evaluation, folder.path.parent)
        looks = looks_taken.of((evaluation,), folder.path.parent)
    checked = data.checked.facts if data.checked is not None else None
    every = made_of or [folder]
    # A student is judged by its own training, an ensemble by those of its members.
    trained = [folder] if own.curves else every
    figured = [by_run[str(each.path)] for each in dict.fromkeys((folder, *trained))]
    return RunReported(
        run=folder.id,
        state=outcome.state if outcome is not None else parcels.run_state(folder),
        preset=folder.preset_name(),
        created="" if created is None else created.isoformat(timespec="seconds"),
        word=word_for(folder),
        source=_source(folder),
        dataset=facts,
        rows=rows,
        why="" if outcome is None else outcome.why,
        notes=() if outcome is None else outcome.notes,
        environment=_environment(folder if folder.has("environment.json") else every[0]),
        quota=_quota(folder),
        lived=lived(dict.fromkeys((folder, *every))),
        evaluation=evaluation,
        figures=own,
        parts=tuple(
            PartReported(
                run=each.id,
                title=title,
                preset=each.preset_name(),
                evaluation=each.evaluated(),
                figures=by_run[str(each.path)],
            )
            for each, title in of
        ),
        guarded=tuple(one for each in dict.fromkeys((folder, *every)) for one in findings(each)),
        latency=compare.latency(folder),
        size_bytes=compare.size_bytes(folder),
        looks=looks,
        data=data,
        tried=tried,
        teacher=None if teacher is None else compare.of_student(folder, teacher),
        risk=judged(folder, trained, figured, checked, len(looks) or None, rows),
    )


def _quota(folder: RunFolder) -> str:
    try:
        return summary.of_run(str(folder.path), folder.path.parent).quota
    except AgnewsError:
        return ""


def _tried(order: ModelQuestions, say: Callable[[str], None]) -> TriedModel:
    if order.wanted is None:
        return TriedModel(None, order.problem)
    say(order.announced)
    try:
        return TriedModel(process.try_model(order.wanted))
    except AgnewsError as error:
        return TriedModel(None, error.message)


def _compared(found: Sequence[RunFolder]) -> tuple[RunsCompared | None, str]:
    if len(found) < 2:
        return None, ""
    names = [str(folder.path) for folder in found]
    try:
        return compare.compare(names, found[0].path.parent, on="test"), ""
    except AgnewsError as error:
        first = error.message
    try:
        return compare.compare(names, found[0].path.parent, on="validation"), first
    except AgnewsError as error:
        return None, error.message


# ---- the data -----------------------------------------------------------------------------------


def _look(folder: RunFolder, *, is_thorough: bool, say: Callable[[str], None]) -> DataLooked:
    facts = _dataset(folder)
    if facts is None:
        return DataLooked(None, not is_thorough, "the run does not say what its data were")
    say(f"Looking at the data of {folder.id} …")
    try:
        checked = check.of_dataset(facts, _source(folder), is_quick=not is_thorough)
    except AgnewsError as error:
        return DataLooked(None, not is_thorough, error.message)
    return DataLooked(checked, not is_thorough)


def _source(folder: RunFolder) -> str:
    order = folder.order()
    return (order.data if order is not None else None) or folder.dataset_name() or "DATA"


def _dataset(folder: RunFolder) -> Dataset | None:
    """With its test rows once they were evaluated; nobody is left to choose then."""
    if folder.evaluated() is not None and folder.has(folder.test_order.name):
        with suppress(OSError, ValueError):
            text = files.read_plain(folder.test_order, _MOST_BYTES)
            return TestOrder.model_validate_json(text).dataset
    try:
        facts = strict_json.mapping(files.read_plain(folder.job, _MOST_BYTES))
        return Dataset.model_validate_json(json.dumps(facts["dataset"]))
    except (OSError, ValueError, KeyError):
        return None


def _environment(folder: RunFolder) -> dict[str, Any]:
    try:
        return strict_json.mapping(files.read_plain(folder.environment, _MOST_BYTES))
    except (OSError, ValueError):
        return {}
