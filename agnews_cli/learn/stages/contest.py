"""From rows to candidates: which models are trained, in which order, and how each validates.

Without a deadline the fine-tuned model is the plan and the linear model its yardstick; where rows
are few both validate by turns (cross-validation). With a deadline, a linear model stands first,
within seconds; then whatever the measured speed lets fit is added (a fine-tuned model, or frozen
embeddings where there is too little time for that, then further fine-tuned models). Which of them
is delivered is `combine`'s to say.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agnews_cli.core.run.job import COUNTED, Candidate, CandidateKind, Outcome, TrainJob
from agnews_cli.core.run.preset import Training
from agnews_cli.learn.door.budget import OutOfTime
from agnews_cli.learn.figures import blend
from agnews_cli.learn.models.embedding import DType
from agnews_cli.learn.stages import frozen, yardstick
from agnews_cli.learn.stages.in_time import InTime
from agnews_cli.learn.stages.prepare import Prepared
from agnews_cli.learn.stages.setting import Setting
from agnews_cli.learn.stages.train import CycleEnd, Trained, Trainer

# A first fine-tuned model is worth starting when it can see this share of an epoch, one more this.
_LEAST_PASSES, _LEAST_PASSES_MORE = 0.3, 0.7

Probabilities = NDArray[np.floating]


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
    trainer: Trainer = field(init=False)
    is_interrupted: bool = False

    def __post_init__(self) -> None:
        self.rows = Prepared(self.setting)
        self.trainer = Trainer(self.rows)

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
            self._enter(counted, yardstick.trained(self.rows), began_s)
        setting.accelerator.wait_for_everyone()
        try:
            setting.stop.check()
            setting.require_time(setting.budget.left_s <= 0)
            if "finetune" in candidates:
                self._finetune_all()
        except OutOfTime:
            if self.contenders:
                setting.told.decided("the budget left no time for a fine-tuned model")
        self.is_interrupted = self.trainer.is_interrupted
        if setting.is_main and not self.contenders and not self.is_interrupted:
            raise setting.budget.too_short("no model could be trained by then")
        if setting.is_main and not self.is_interrupted:
            self.trainer.guarded.tell()

    def interrupted(self) -> Outcome:
        """How far it came."""
        done, at = self.trainer, self.trainer.position
        return Outcome(
            state="paused" if self.setting.stop.is_deadline else "interrupted",
            step=at.step if at else 0,
            total_steps=at.total_steps if at else 0,
            tuning=done.tuning if at and at.interrupted else "",
            model_step=done.model_step,
            candidates=tuple(c.facts for c in self.contenders),
        )

    def _finetune_all(self) -> None:
        self.rows.tokenise()
        if self.rows.material.fold is not None:
            began_s = time.monotonic()
            self.rows.say_recipe()
            trained = self.trainer.by_turns()
            if trained is not None:
                self._enter("finetune", trained, began_s)
            return
        number = 1
        while self._finetune(number):
            number += 1

    def _finetune(self, number: int) -> bool:
        """Train one more model if it fits; True when yet another may be tried."""
        began_s, budget = time.monotonic(), self.setting.budget
        model = self.trainer.tunings.load(number)
        training, end_s = self.rows.training, None
        if budget.end_s is None:
            self.rows.say_recipe()
        else:
            planned = self._plan_in_time(number, model)
            if planned is None:
                return False
            training, end_s = planned
        trained = self.trainer.one(number, model, training, end_s=end_s)
        if trained is None:
            return False
        self._enter("finetune", trained, began_s)
        return budget.end_s is not None and self.job.blend

    def _plan_in_time(self, number: int, model: Any) -> tuple[Training, float] | None:
        """(the recipe, when training must end); None where too little fits.

        Frozen embeddings are then tried in place of a first fine-tuned model.
        """
        is_first, budget, in_time = number == 1, self.setting.budget, InTime(self.rows)
        there = [c.facts for c in self.contenders]
        model.to(self.setting.accelerator.device)
        if is_first and budget.is_short:
            in_time.fit_length(model, there)
        row_s = in_time.seconds_per_row(model, autocast=False)
        assert budget.end_s is not None
        end_s = budget.end_s - in_time.reserve_s(row_s, there)
        passes = self.setting.agreed(in_time.passes(end_s - time.monotonic(), model))
        training = self.rows.training
        if passes < training.passes:
            training = self.job.preset.hurried(training)
        needed = _LEAST_PASSES if is_first else _LEAST_PASSES_MORE
        if is_first:
            self.rows.say_recipe()
        if passes >= needed:
            return training, end_s
        if is_first:
            self.setting.told.decided(
                f"fine-tuning would see {max(0.0, passes):.2f} of an epoch in the time "
                f"left; at least {needed:g} is wanted"
            )
            if "embedding" in self.job.candidates:
                began_s = time.monotonic()
                dtype: DType = "float32"
                if self.setting.precision == "bf16":
                    dtype, row_s = "bfloat16", in_time.seconds_per_row(model, autocast=True)
                found = frozen.trained(self.rows, row_s, in_time.reserve_s(row_s, there), dtype)
                if found is not None:
                    self._enter("embedding", found, began_s)
        return None

    def _enter(self, kind: CandidateKind, trained: Trained, began_s: float) -> None:
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
