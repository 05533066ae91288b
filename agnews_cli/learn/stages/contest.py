"""From rows to candidates: which models are trained, in which order, and how each validates.

Without a deadline the fine-tuned model is the plan and the linear model its yardstick; where rows
are few both validate by turns (cross-validation). With a deadline, a linear model stands first,
within seconds; then `finetuned` adds whatever the measured speed lets fit. Which of them is
delivered is `combine`'s to say. Where nothing is fine-tuned, torch is not imported.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from agnews_cli.core.run.job import COUNTED, Candidate, CandidateKind, Outcome, TrainJob
from agnews_cli.learn.door.budget import OutOfTime
from agnews_cli.learn.figures import blend
from agnews_cli.learn.stages import yardstick
from agnews_cli.learn.stages.prepare import Prepared
from agnews_cli.learn.stages.setting import Setting
from agnews_cli.learn.stages.trained import CycleEnd, Probabilities, Trained

if TYPE_CHECKING:
    from agnews_cli.learn.stages.train import Trainer


@dataclass(slots=True)
class Contender:
    """A trained candidate, written to its folder: its facts and its validation probabilities."""

    facts: Candidate
    validation: Probabilities
    folder: Path
    row_s: float
    """Seconds that predicting a row took."""


@dataclass(slots=True)
class Competition:
    """One job's candidates. `run` trains them; `contenders` then holds what there is to deliver."""

    setting: Setting
    contenders: list[Contender] = field(default_factory=list)
    snapshots: tuple[CycleEnd, ...] = ()
    """Of a cyclic training, to be kept whatever is delivered."""
    rows: Prepared = field(init=False)
    trainer: Trainer | None = None
    """Once something is fine-tuned."""
    is_interrupted: bool = False

    def __post_init__(self) -> None:
        self.rows = Prepared(self.setting)

    @property
    def job(self) -> TrainJob:
        return self.setting.job

    def run(self) -> None:
        """Train what the job allows and time lets. Raises BudgetTooShort where that is nothing."""
        setting, candidates = self.setting, self.job.candidates
        self.rows.read()
        setting.stop.check()
        counted = next((kind for kind in COUNTED if kind in candidates), None)
        if counted is not None and setting.is_main:
            began_s = time.monotonic()
            self.enter(counted, yardstick.trained(self.rows), began_s)
        setting.wait_for_all()
        try:
            setting.stop.check()
            setting.require_time(setting.budget.left_s <= 0)
            if "finetune" in candidates:
                from agnews_cli.learn.stages.finetuned import FineTunes  # torch

                fine = FineTunes(self.rows, self.enter, lambda: [c.facts for c in self.contenders])
                self.trainer = fine.trainer
                fine.enter_all()
        except OutOfTime:
            if self.contenders:
                setting.told.decided("the budget left no time for a fine-tuned model")
        self.is_interrupted = self.trainer is not None and self.trainer.is_interrupted
        if setting.is_main and not self.contenders and not self.is_interrupted:
            raise setting.budget.too_short("no model could be trained by then")
        if setting.is_main and self.trainer is not None and not self.is_interrupted:
            self.trainer.guarded.tell()

    def interrupted(self) -> Outcome:
        """How far it came."""
        done = self.trainer
        at = done.position if done else None
        return Outcome(
            state="paused" if self.setting.stop.is_deadline else "interrupted",
            step=at.step if at else 0,
            total_steps=at.total_steps if at else 0,
            tuning=done.tuning if done and at and at.interrupted else "",
            model_step=done.model_step if done else 0,
            candidates=tuple(c.facts for c in self.contenders),
        )

    def enter(self, kind: CandidateKind, trained: Trained, began_s: float) -> None:
        """Another candidate, whose training began then."""
        classes, probabilities = self.rows.held_classes, trained.validation
        facts = Candidate(
            name=trained.name,
            kind=kind,
            validation_accuracy=float((probabilities.argmax(1) == classes).mean()),
            validation_loss=blend.log_loss(probabilities, classes),
            seconds=round(time.monotonic() - began_s, 2),
            temperature=trained.temperature,
        )
        self.snapshots = trained.snapshots or self.snapshots
        self.contenders.append(Contender(facts, probabilities, trained.folder, trained.row_s))
        self.setting.log(
            "candidate",
            name=facts.name,
            validation_accuracy=round(facts.validation_accuracy, 4),
            seconds=facts.seconds,
        )
