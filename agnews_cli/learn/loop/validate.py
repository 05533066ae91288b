"""Which weights are the best so far, asked of the validation rows."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agnews_cli.core.run.preset import Training
from agnews_cli.learn.door.events import EventLog
from agnews_cli.learn.figures import blend
from agnews_cli.learn.loop.distil import divergence
from agnews_cli.learn.loop.forward import predict
from agnews_cli.learn.loop.pace import Norms
from agnews_cli.learn.loop.state import State
from agnews_cli.learn.rows.tokens import Tokens
from agnews_cli.learn.state.snapshot import on_host, weights

_SAMPLED_ROWS = 256
"""Of them an accuracy is known to 3 points, by a standard error."""


@dataclass(slots=True)
class Validator:
    """Of one fine-tuning. `class_weights`: how much a row of each class counts; None: alike.

    `teacher`: the logits of what it says of these rows; None: nothing.
    """

    state: State
    training: Training
    tokens: Tokens
    pad_id: int
    class_weights: NDArray[np.float64] | None
    name: str
    log: EventLog
    norms: Norms
    learnt: Tokens
    """Some of the rows that train: how well they are known tells what is learnt by heart."""
    update_rank: Callable[[Any], float | None]
    """Of the model's updates, as its method says."""
    teacher: NDArray[np.float32] | None = None

    def validate(self, check: Callable[[], None]) -> None:
        """Keep the weights if they are the best; nothing is kept where `check` raises."""
        began_s = time.monotonic()
        try:
            with self.state.judged():
                probabilities, learnt = (
                    predict(
                        self.state.bare_model,  # the other talks to all, and one may have no rows
                        tokens,
                        self.pad_id,
                        self.state.accelerator,
                        self.training.batch_tokens,
                        check=check,
                    )
                    for tokens in (self.tokens, self.learnt)
                )
                self._judge(probabilities, learnt, time.monotonic() - began_s)
        finally:
            self.state.model.train()

    def _judge(
        self,
        probabilities: NDArray[np.floating],
        learnt: NDArray[np.floating],
        took_s: float,
    ) -> None:
        """Compare this validation with the lowest loss so far, and keep the weights that are best.

        The best is the last one not worse than the lowest loss by more than a standard error of
        their difference over the rows: later weights have decayed further, and which of two equals
        a few hundred rows prefer is chance (the one-standard-error rule, Breiman et al. 1984).
        """
        state, at, classes = self.state, self.state.position, self.tokens.classes
        losses = blend.row_losses(blend.calibrated(probabilities, classes), classes)
        if self.class_weights is not None:  # or the step that answers no rare class wins
            losses = losses * self.class_weights.astype(np.float32)[classes]
        loss = float(losses.mean())
        if loss < at.lowest_loss:
            at.lowest_loss, at.validations_without_gain = loss, 0
            state.lowest = losses
        else:
            at.validations_without_gain += 1
        is_best = state.lowest is not None and not is_worse(losses, state.lowest)
        if is_best:
            at.best_step = at.step
            state.best = on_host(weights(state.bare_model))
        at.validated_step = at.step
        # A new cycle loses more before it loses less: all of them are gone through.
        is_patient = bool(self.training.cycles)
        at.stopped_early = not is_patient and at.validations_without_gain >= self.training.patience
        apart = None if self.teacher is None else divergence(self.teacher, probabilities)
        norms = tuple(map(_rounded, self.norms.taken()))
        self.log(
            "validated",
            candidate=self.name,
            step=at.step,
            loss=round(loss, 4),
            accuracy=_accuracy(probabilities, classes),
            raw_loss=_loss(probabilities, classes),
            train_loss=_loss(learnt, self.learnt.classes),
            train_accuracy=_accuracy(learnt, self.learnt.classes),
            gradient_norm=norms[0],
            gradient_norm_most=norms[1],
            update_rank=_rounded(self.update_rank(state.bare_model)),
            teacher_kl=None if apart is None else round(apart, 5),
            best=is_best,
            seconds=round(took_s, 2),
        )


def sample(tokens: Tokens, held: int) -> Tokens:
    """Of the rows that train and have a label, as many as validate, and no more than tell enough:
    the same each time, evenly among them."""
    rows = np.flatnonzero(tokens.classes >= 0)
    wanted = min(len(rows), held, _SAMPLED_ROWS)
    return tokens.take(rows[np.linspace(0, len(rows) - 1, wanted).astype(np.int64)])


def _loss(probabilities: NDArray[np.floating], classes: NDArray[np.int64]) -> float:
    return round(blend.log_loss(probabilities, classes), 4)


def _rounded(figure: float | None) -> float | None:
    return None if figure is None else round(figure, 5)


def _accuracy(probabilities: NDArray[np.floating], classes: NDArray[np.int64]) -> float:
    return round(float((probabilities.argmax(1) == classes).mean()), 4)


def is_worse(losses: NDArray[np.float64], than: NDArray[np.float64]) -> bool:
    """By more than one standard error of the mean difference, over the same rows; or no number."""
    apart = losses - than
    return not apart.mean() <= apart.std(ddof=1) / np.sqrt(len(apart))
