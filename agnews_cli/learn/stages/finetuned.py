"""The candidates of a contest that are fine-tuned: one or, with a deadline, as many as fit.

Where there is too little time for a first one, frozen embeddings are tried in its place.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from agnews_cli.core.run.job import Candidate, CandidateKind, TrainJob
from agnews_cli.core.run.preset import Training
from agnews_cli.learn.stages import frozen
from agnews_cli.learn.stages.in_time import InTime
from agnews_cli.learn.stages.prepare import Prepared
from agnews_cli.learn.stages.setting import Setting
from agnews_cli.learn.stages.train import Trainer
from agnews_cli.learn.stages.trained import Trained

# A first fine-tuned model is worth starting when it can see this share of an epoch, one more this.
_LEAST_PASSES, _LEAST_PASSES_MORE = 0.3, 0.7


@dataclass(slots=True)
class FineTunes:
    """Of one contest, whose `rows` are read."""

    rows: Prepared
    enter: Callable[[CandidateKind, Trained, float], None]
    """Another candidate of the contest, whose training began then."""
    there: Callable[[], list[Candidate]]
    """Those that it has."""
    trainer: Trainer = field(init=False)

    def __post_init__(self) -> None:
        self.trainer = Trainer(self.rows)

    @property
    def setting(self) -> Setting:
        return self.rows.setting

    @property
    def job(self) -> TrainJob:
        return self.setting.job

    def enter_all(self) -> None:
        """Raises OutOfTime, and what reading, loading and training raise."""
        self.rows.tokenise()
        if self.rows.material.fold is not None:
            began_s = time.monotonic()
            self.rows.say_recipe()
            trained = self.trainer.by_turns()
            if trained is not None:
                self.enter("finetune", trained, began_s)
            return
        number = 1
        while self._one(number):
            number += 1

    def _one(self, number: int) -> bool:
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
        self.enter("finetune", trained, began_s)
        return budget.end_s is not None and self.job.blend

    def _plan_in_time(self, number: int, model: Any) -> tuple[Training, float] | None:
        """(the recipe, when training must end); None where too little fits.

        Frozen embeddings are then tried in place of a first fine-tuned model.
        """
        is_first, budget, in_time = number == 1, self.setting.budget, InTime(self.rows)
        there = self.there()
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
                found = frozen.trained(self.rows, there)
                if found is not None:
                    self.enter("embedding", found, began_s)
        return None
