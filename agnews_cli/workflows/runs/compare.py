"""`agnews compare`: finished runs beside each other, on the same rows.

What each said of them lies in its folder; nothing is predicted again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from agnews_cli.core.run import looks
from agnews_cli.core.run.comparison import AnswersOf, Comparison, Members, ToCompare
from agnews_cli.core.run.evaluation import Interval
from agnews_cli.core.run.latency import Latency
from agnews_cli.core.run.state import RunState
from agnews_cli.core.run.work import TEST, VALIDATION
from agnews_cli.core.text.spelling import nearest
from agnews_cli.errors import (
    AgnewsError,
    NothingSaidOf,
    RunTwice,
    RunUnfinished,
    TooFewRuns,
    ValueWrong,
)
from agnews_cli.host import figures
from agnews_cli.store.disk import files
from agnews_cli.store.model import delivered
from agnews_cli.store.run import runs
from agnews_cli.store.run.runs import RunFolder
from agnews_cli.workflows.runs import looks_taken
from agnews_cli.workflows.runs.history import where, word_for

On = Literal["test", "validation"]
SCHEMA = "agnews.compare/1"
_MOST_BYTES = 16_000_000
_PARTS: Mapping[On, str] = {"test": TEST, "validation": VALIDATION}


@dataclass(frozen=True, slots=True)
class RunsCompared:
    """`looks`: how many were taken at the test rows of these, by whatever run; None of rows that
    validate."""

    on: On
    comparison: Comparison
    size_bytes: Mapping[str, int | None]
    """Of each model's files, by its run; None where only its answers are there."""
    latency: Mapping[str, Latency | None]
    """How fast each answers; None where that was not measured."""
    looks: int | None

    @property
    def best_of(self) -> Interval | None:
        """The best one's accuracy as that of the best of so many looks; None where it is of one."""
        if self.looks is None or self.looks < 2:
            return None
        share, rows = self.comparison.models[0].accuracy.value, self.comparison.rows
        low, high = looks.best_of(share, rows, self.looks)
        return Interval(value=share, low=low, high=high, method="sidak")

    def as_json(self) -> dict[str, Any]:
        """Schema `agnews.compare/1` (docs/json.md)."""
        return {
            "schema": SCHEMA,
            "on": self.on,
            "rows": self.comparison.rows,
            "looks": self.looks,
            "best_of": (best := self.best_of) and best.model_dump(),
            "against": self.comparison.against,
            "models": [
                one.model_dump(mode="json")
                | {
                    "size_bytes": self.size_bytes.get(one.name),
                    "latency": (took := self.latency.get(one.name)) and took.as_json(),
                }
                for one in self.comparison.models
            ],
            "differences": [one.model_dump(mode="json") for one in self.comparison.differences],
        }


def compare(
    names: Sequence[str], store: Path | None, *, on: str = "test", against: str | None = None
) -> RunsCompared:
    """`names`: as `runs.find` takes them. `against`: the run that each other is compared with;
    None: the one that is right most often.

    Raises ValueWrong, RunUnknown, RunUnfinished, RunTwice, TooFewRuns, NothingSaidOf, and what is
    wrong with what the runs say (ReportedError).
    """
    split = _split(on)
    place = where(store)
    found = [finished(place, name) for name in names]
    rival = None if against is None else finished(place, against)
    if rival is not None and rival.id not in {one.id for one in found}:
        found.append(rival)
    require_different(found)
    if len(found) < 2:
        raise TooFewRuns(run=word_for(found[0]) if found else "RUN")
    told = tuple(AnswersOf(name=one.id, files=(str(said_of(one, split)),)) for one in found)
    order = ToCompare(models=told, against="best" if rival is None else rival.id)
    return RunsCompared(
        on=split,
        comparison=figures.compare(order),
        size_bytes={one.id: size_bytes(one) for one in found},
        latency={one.id: latency(one) for one in found},
        looks=_looks(found) if split == "test" else None,
    )


def of_ensemble(folder: RunFolder) -> RunsCompared | None:
    """What an ensemble and its members reach on the same rows, as it was written when it was made;
    None of a run that is none, or where the file is damaged."""
    try:
        text = files.read_plain(folder.path / "comparison.json", _MOST_BYTES)
        found = Members.model_validate_json(text)
    except (OSError, ValueError):
        return None
    split: On = "test" if "test" in found.compared else "validation"
    if split not in found.compared:
        return None
    whole = {one.name: size_bytes(folder) for one in found.compared[split].models}
    sizes = whole | {one.name: one.size_bytes for one in found.members}
    took = {one.name: latency(folder) for one in found.compared[split].models}
    took |= {one.name: one.latency for one in found.members}
    return RunsCompared(split, found.compared[split], sizes, took, None)


def of_student(folder: RunFolder, teacher: str) -> RunsCompared | None:
    """A student beside its teacher on the test rows; None where either was not asked about them."""
    try:
        return compare([folder.id, teacher], folder.path.parent)
    except AgnewsError:
        return None


def _split(on: str) -> On:
    match on:
        case "test" | "validation":
            return on
    expected = f"test or validation{nearest(on, list(_PARTS))}"
    raise ValueWrong(name="--on ", given=repr(on), expected=expected)


def finished(store: Path, name: str) -> RunFolder:
    """Raises RunUnknown or RunUnfinished."""
    folder = runs.find(store, name)
    outcome = folder.ended()
    if outcome is None or outcome.state != RunState.COMPLETED:
        raise RunUnfinished(run=word_for(folder))
    return folder


def require_different(found: Sequence[RunFolder]) -> None:
    """Raises RunTwice."""
    ids = [one.id for one in found]
    twice = next((run for run in ids if ids.count(run) > 1), None)
    if twice is not None:
        raise RunTwice(run=twice)


def said_of(folder: RunFolder, split: On, *, hint: str = "") -> Path:
    """The file of what a run said. Raises NothingSaidOf, with `hint`."""
    name = f"{_PARTS[split]}.safetensors"
    if folder.has(name):
        return folder.path / name
    raise NothingSaidOf(run=folder.id, rows=split, hint=hint or _hint(folder, split))


def _hint(folder: RunFolder, split: On) -> str:
    if split == "test" and folder.has(f"{VALIDATION}.safetensors"):
        return "Compare on the rows that validated: agnews compare RUN RUN --on validation"
    return f"An older agnews kept none; train it again: agnews runs show {word_for(folder)}"


def size_bytes(folder: RunFolder) -> int | None:
    """Of the files that answer; None where no model was delivered."""
    try:
        return delivered.size_bytes(delivered.of_run(folder))
    except AgnewsError:
        return None


def latency(folder: RunFolder) -> Latency | None:
    """How fast its model answered when it was evaluated; None where nobody measured it."""
    try:
        return Latency.model_validate_json(files.read_plain(folder.latency, _MOST_BYTES))
    except (OSError, ValueError):
        return None


def _looks(found: Sequence[RunFolder]) -> int:
    """At the test rows of these runs, in every store that is known."""
    evaluations = [one for folder in found if (one := folder.evaluated()) is not None]
    return len(looks_taken.of(evaluations, found[0].path.parent))
