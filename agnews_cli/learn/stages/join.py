"""Several models become one, from what they said of rows: chosen, judged, and written as a folder.

Everything is chosen on the rows that validated the members; what they said of the test rows is
read when that is over.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from agnews_cli.core.guards import training as guards
from agnews_cli.core.guards.training_facts import GuardReport, TrainingSeen
from agnews_cli.core.run.comparison import MemberSize
from agnews_cli.core.run.diversity import Diversity
from agnews_cli.core.run.evaluation import Evaluation
from agnews_cli.core.run.job import Candidate, CombineJob, CombineMember, Outcome
from agnews_cli.core.run.latency import Latency, together
from agnews_cli.core.run.state import RunState
from agnews_cli.core.run.work import TEST, VALIDATION
from agnews_cli.learn import combiners
from agnews_cli.learn.combine import logits
from agnews_cli.learn.combine.compare import compare
from agnews_cli.learn.combine.diversity import diversity
from agnews_cli.learn.combine.logits import Logits
from agnews_cli.learn.combine.members import Aligned, align, as_given
from agnews_cli.learn.door import test_lock
from agnews_cli.learn.door.events import EventLog, StopFlag
from agnews_cli.learn.door.notes import Notes
from agnews_cli.learn.figures.blend import log_loss
from agnews_cli.learn.figures.evaluate import evaluate
from agnews_cli.learn.kinds.combiner import Fitted
from agnews_cli.learn.stages import ensemble_card, guarded, heat_map
from agnews_cli.learn.stages.predictions_file import write_predictions
from agnews_cli.store.disk import files
from agnews_cli.store.disk.files import write_text_atomically
from agnews_cli.store.model import carried, delivered

ENSEMBLE = "the ensemble"
"""What it is called beside its members."""


@dataclass(frozen=True, slots=True)
class Combined:
    """What was learnt, and what that says of the rows that validated."""

    members: tuple[CombineMember, ...]
    """Those that say something of their own, in the order of `said`."""
    fitted: Fitted
    validation: Aligned
    mixed: NDArray[np.float64]
    """(rows, classes)"""


def make(job: CombineJob, log: EventLog, stop: StopFlag) -> Outcome:
    """Combine, deliver, evaluate. Raises what is wrong with the members."""
    told = Notes(log)
    log("phase", name="combining")
    members = _distinct(job.members, told)
    held = {m.name: [logits.read(Path(p)) for p in m.validation] for m in members}
    validation = align(held, labels=job.dataset.labels)
    fitted = combiners.fit(job.how, validation.probabilities, validation.classes, job.seed)
    fitted = combiners.calibrated(fitted, validation.probabilities, validation.classes)
    stop.check()
    kept = [members[n] for n in fitted.needed]
    said = validation.probabilities[list(fitted.needed)]
    fitted = fitted.pruned()
    combined = Combined(tuple(members), fitted, validation, combiners.apply(fitted, said))
    told.chose(fitted.why or _why(combined, kept))
    mute = [member.name for member in kept if member.delivery is None]
    if mute:
        told.warn(f"of {', '.join(mute)} only answers are there: no model for new texts is made")
    apart = diversity(validation.names, validation.probabilities, validation.classes)
    found = guards.findings(TrainingSeen(diversity=apart, limits=job.limits))
    for finding in found:
        guarded.say(told, finding)
    report = GuardReport.of((), found).model_dump_json(indent=1, by_alias=True)
    write_text_atomically(Path(job.folder) / guarded.NAME, report)
    _deliver(job, kept, fitted)
    stop.check()
    evaluation, tests = _evaluate(job, combined, kept)
    _write_figures(job, combined, apart, evaluation, tests)
    _write_latency(job, kept)
    card = ensemble_card.text(job, combined.fitted, evaluation, apart, told.why)
    write_text_atomically(Path(job.folder) / "README.md", card)
    picture = heat_map.svg(apart, job.limits)
    write_text_atomically(Path(job.folder) / ensemble_card.PICTURE, picture)
    files.sync_all(Path(job.folder))
    return Outcome(
        state=RunState.COMPLETED,
        done=job.nodes,
        candidates=_candidates(combined, kept),
        why=told.why,
        notes=tuple(told.kept),
    )


def _distinct(members: tuple[CombineMember, ...], told: Notes) -> list[CombineMember]:
    """Without those that say, bit for bit, what another one says: two runs may both have delivered
    the same linear model."""
    first: dict[bytes, str] = {}
    kept = []
    for member in members:
        said = b"".join(logits.read(Path(p)).delivered.tobytes() for p in member.validation)
        if said in first:
            told.warn(f"{member.name} says what {first[said]} says, bit for bit, and is left out")
            continue
        first[said] = member.name
        kept.append(member)
    return kept


def _why(combined: Combined, kept: list[CombineMember]) -> str:
    held = combined.validation
    right = float((combined.mixed.argmax(1) == held.classes).mean())
    alone = ", ".join(
        f"{name} {float((one.argmax(1) == held.classes).mean()):.1%}"
        for name, one in zip(held.names, held.probabilities, strict=True)
    )
    return (
        f"{combined.fitted.kind} of {len(kept)} member{'s' if len(kept) > 1 else ''}: {right:.1%} "
        "on the same "
        f"{len(held.classes):,} validation rows, which also chose it; alone {alone}"
    )


def _candidates(combined: Combined, kept: list[CombineMember]) -> tuple[Candidate, ...]:
    """The members, as the last screen shows them."""
    weights = combined.fitted.weights or (1 / len(kept),) * len(kept)
    shares = {member.name: weight for member, weight in zip(kept, weights, strict=True)}
    held = combined.validation
    return tuple(
        Candidate(
            name=name,
            kind="run",
            validation_accuracy=float((one.argmax(1) == held.classes).mean()),
            validation_loss=log_loss(one, held.classes),
            seconds=0.0,
            weight=shares.get(name, 0.0),
        )
        for name, one in zip(held.names, held.probabilities, strict=True)
    )


# ---- what is delivered ---------------------------------------------------------------------------


def _deliver(job: CombineJob, kept: list[CombineMember], fitted: Fitted) -> None:
    """One folder that answers: the members that are needed, and what joins them."""
    folder = Path(job.folder)
    for old in ("members", "combiner"):
        shutil.rmtree(folder / old, ignore_errors=True)
    names = []
    for number, member in enumerate(kept):
        if member.delivery is None:  # of files alone: there is nobody to ask about new rows
            return
        name = f"members/{number}"
        carried.carry(delivered.at(Path(member.delivery)), folder / name)
        names.append(name)
    fitted.write(folder / "combiner")
    # Of its own it reads nothing: the least length there is.
    delivered.write(folder, job.dataset, max_length=1, parts=names, combiner="combiner")


# ---- how good it is ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Tested:
    """What all said of the test rows."""

    rows: Aligned
    mixed: NDArray[np.float64]


def _evaluate(
    job: CombineJob, combined: Combined, kept: list[CombineMember]
) -> tuple[Evaluation, Tested | None]:
    labels, held = job.dataset.labels, combined.validation
    validation = evaluate(combined.mixed, held.classes, labels, chose=True)
    _keep(job, VALIDATION, labels, held, combined.mixed)
    evaluation = Evaluation(labels=tuple(labels), validation=validation)
    if any(member.test is None for member in combined.members):
        return evaluation, None
    look = test_lock.opened(job, writes=True)[1] if job.test is not None else None
    tests = {m.name: [logits.read(Path(m.test))] for m in combined.members if m.test is not None}
    rows = align(tests, labels=tuple(labels))
    number = {name: n for n, name in enumerate(rows.names)}
    said = rows.probabilities[[number[member.name] for member in kept]]
    tested = Tested(rows, combiners.apply(combined.fitted, said))
    _keep(job, TEST, labels, rows, tested.mixed)
    first = next(iter(tests.values()))[0]
    classes, mixed = (as_given(v, first, rows.labels) for v in (rows.classes, tested.mixed))
    write_predictions(Path(job.folder), classes.tolist(), labels, mixed, {})
    test = evaluate(tested.mixed, rows.classes, labels)
    return evaluation.model_copy(update={"test": test, "look": look}), tested


def _keep(
    job: CombineJob,
    part: str,
    labels: tuple[str, ...],
    rows: Aligned,
    mixed: NDArray[np.floating],
) -> None:
    each = dict(zip(rows.names, map(logits.log, rows.probabilities), strict=True))
    classes = rows.classes.astype(np.int32)
    said = Logits(tuple(labels), rows.rows, classes, logits.log(mixed), each)
    logits.write(Path(job.folder) / f"{part}.safetensors", said)


def _write_figures(
    job: CombineJob,
    combined: Combined,
    apart: Diversity,
    evaluation: Evaluation,
    tests: Tested | None,
) -> None:
    folder, held = Path(job.folder), combined.validation
    compared: dict[str, object] = {}
    for name, rows, mixed in (
        ("validation", held, combined.mixed),
        *((("test", tests.rows, tests.mixed),) if tests is not None else ()),
    ):
        every: Mapping[str, NDArray[np.floating]] = {
            ENSEMBLE: mixed,
            **dict(zip(rows.names, rows.probabilities, strict=True)),
        }
        compared[name] = compare(every, rows.classes, against=ENSEMBLE, seed=job.seed).as_json()
    facts = {
        "schema": "agnews.comparison/1",
        "members": [
            MemberSize(
                name=m.name, size_bytes=_size_bytes(m.delivery), latency=_latency(m)
            ).model_dump(mode="json")
            for m in combined.members
        ],
        "compared": compared,
        "diversity": apart.as_json(),
    }
    text = json.dumps(facts, indent=2, ensure_ascii=False)
    write_text_atomically(folder / "comparison.json", text)
    write_text_atomically(folder / "evaluation.json", evaluation.model_dump_json(indent=2))


def _latency(member: CombineMember) -> Latency | None:
    """None where it was not measured, or the file is damaged."""
    if member.latency is None:
        return None
    try:
        return Latency.model_validate_json(Path(member.latency).read_bytes())
    except (OSError, ValueError):
        return None


def _write_latency(job: CombineJob, kept: list[CombineMember]) -> None:
    """Of all that answer, one after another; joining what they say takes no time beside that."""
    path, found = Path(job.folder) / "latency.json", together([_latency(m) for m in kept])
    path.unlink(missing_ok=True)
    if found is not None:
        write_text_atomically(path, found.model_dump_json(indent=2))


def _size_bytes(delivery: str | None) -> int | None:
    """Of what answers."""
    if delivery is None:
        return None
    return delivered.size_bytes(delivered.at(Path(delivery)))
