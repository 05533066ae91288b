"""What the guards of training say of a fine-tuning that is over; kept in `guards.json`.

Its validations are read from the run's events, where every session told its own: what came after a
checkpoint that a later session went on from was told twice, and the later counts.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from agnews_cli.core.guards import training
from agnews_cli.core.guards.training_facts import GuardReport, TrainingSeen, TuningFacts, Validated
from agnews_cli.core.machine.finding import Finding
from agnews_cli.learn.door.notes import Notes
from agnews_cli.store.disk.files import write_text_atomically
from agnews_cli.store.run.events import Events

if TYPE_CHECKING:  # which needs torch; ensembles are told of without
    from agnews_cli.learn.loop.train import FineTuning

NAME = "guards.json"
_TOLD_SHARE = 0.5
"""Of trainings that validate by turns, what so many show is told."""


@dataclass(slots=True)
class Guarded:
    """The fine-tunings of one job."""

    folder: Path
    told: Notes
    rank: int | None
    tunings: list[TuningFacts] = field(default_factory=list)

    def over(self, tuning: FineTuning) -> None:
        """A fine-tuning came to its end."""
        validator, at = tuning.validator, tuning.position
        if validator is None:
            return
        self.tunings.append(
            TuningFacts(
                name=tuning.name,
                rows=len(tuning.tokens.classes),
                held_rows=len(validator.tokens.classes),
                sampled_rows=len(validator.learnt.classes),
                total_steps=at.total_steps,
                clip_norm=tuning.training.clip_norm,
                rank=self.rank,
                has_stopped_early=at.stopped_early,
                validated=validations(self.folder / "events.jsonl", tuning.name),
            )
        )

    def tell(self) -> None:
        """What was found, once each, is told and kept."""
        if not self.tunings:
            return
        found: dict[str, list[Finding]] = defaultdict(list)
        for one in self.tunings:
            for finding in training.findings(TrainingSeen(tuning=one)):
                found[finding.check].append(finding)
        told = []
        for each in found.values():
            if len({f.text.partition(" ")[0] for f in each}) < _TOLD_SHARE * len(self.tunings):
                continue
            told += each[:1]
        for finding in told:
            say(self.told, finding)
        report = GuardReport.of(tuple(self.tunings), tuple(told))
        write_text_atomically(self.folder / NAME, report.model_dump_json(indent=1, by_alias=True))


def say(told: Notes, finding: Finding) -> None:
    """In the events, and on the last screen."""
    told.log(
        "finding",
        check=finding.check,
        level=finding.level,
        text=finding.text,
        mend=finding.mend,
    )
    told.kept.append(f"{finding.text}. {finding.mend}" if finding.mend else finding.text)


def validations(events: Path, name: str) -> tuple[Validated, ...]:
    """Of the fine-tuning `name`, in the order of steps."""
    found: dict[int, Validated] = {}
    for event in Events(events):
        if event.kind != "validated" or event.data.get("candidate") != name:
            continue
        try:
            one = Validated.model_validate(event.data)
        except ValidationError:  # of an older version
            continue
        found = {step: seen for step, seen in found.items() if step < one.step}
        found[one.step] = one
    return tuple(found[step] for step in sorted(found))
