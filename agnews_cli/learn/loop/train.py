"""The exact loop: from tokens to a fine-tuned model, on any number of processes.

The order of examples is a pure function of seed and epoch (`batches`); a step's learning rate is a
pure function of the step and the planned number of steps. Each process takes every `world`-th row
of the global batch, so two processes train on the same examples in the same order as one.

Between two steps everything is in `Position`, the weights, the optimizer and the generators; so a
checkpoint taken there and restored anywhere goes on as if nothing had happened. What is pending at
that point (a validation, an early stop) is decided at the head of the loop, from the position
alone, and not remembered by the code.

With an end time the plan is fitted to the measured speed: the decay ends, and the model is at its
best, just when time is up. A plan that changed is an event with its reason.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import broadcast_object_list, set_seed
from numpy.typing import NDArray
from torch import nn

from agnews_cli.core.run.preset import Training
from agnews_cli.errors import CannotSave, NonFiniteLoss
from agnews_cli.learn import losses, optimizers, options
from agnews_cli.learn.door.events import EventLog, StopFlag, StopRequested
from agnews_cli.learn.door.xla import is_xla, place, sync
from agnews_cli.learn.kinds.loss import Targets
from agnews_cli.learn.kinds.option import Start
from agnews_cli.learn.loop import cycles
from agnews_cli.learn.loop.distil import Taught, distilled
from agnews_cli.learn.loop.learning_rate import learning_rate
from agnews_cli.learn.loop.pace import Clock, Running
from agnews_cli.learn.loop.position import Position, StepTrace
from agnews_cli.learn.loop.state import ANSWERS, State
from agnews_cli.learn.loop.step import Stepper
from agnews_cli.learn.loop.validate import Validator, sample
from agnews_cli.learn.rows.batches import Indices, batches_from, steps_in
from agnews_cli.learn.rows.tokens import Tokens
from agnews_cli.learn.rows.weighing import weights_of
from agnews_cli.learn.state.saving import Saver
from agnews_cli.learn.state.snapshot import Snapshot, are_finite, weights
from agnews_cli.store.run.checkpoints import Saved, Why

_MEASURED_STEPS = 12  # before the plan is fitted to the speed; the first three are not counted
_REPLAN_STEPS = 25


class FineTuning:
    """One fine-tuning: call `run`; the model then holds the best weights."""

    def __init__(
        self,
        *,
        name: str,
        model: nn.Module,
        accelerator: Accelerator,
        training: Training,
        precision: str,
        tokens: Tokens,
        validation: Tokens | None,
        pad_id: int,
        mask_id: int,
        classes: int,
        seed: int,
        log: EventLog,
        stop: StopFlag,
        saver: Saver | None = None,
        trace: Callable[[StepTrace], None] | None = None,
        soft_targets: Callable[[], NDArray[np.float32]] | None = None,
        taught: Taught | None = None,
        saves_end: bool = True,
        update_rank: Callable[[Any], float | None] = lambda model: None,
    ) -> None:
        """`validation`: None trains to the end of the plan, and the last weights are the best.

        `soft_targets`: says what the training rows are to learn instead of their labels, (rows,
        classes) probabilities; asked once, by the main process. `taught`: what a teacher says of
        them besides. `saves_end`: whether the end of training is saved, and not only that of a
        session. `update_rank`: as `kinds.method.Procedure` has it.
        """
        self.name, self.training, self.precision = name, training, precision
        self.tokens, self.seed = tokens, seed
        self.accelerator, self.log, self.stop = accelerator, log, stop
        self.saver, self.trace = saver, trace
        self._saved_at: tuple[int, int] | None = None
        self._validation_s = 0.0
        self._soft_targets, self._classes, self._saves_end = soft_targets, classes, saves_end
        if is_xla(accelerator.device):
            place(model, accelerator.device)  # now: its optimizer is another one
        self.model, self.optimizer = accelerator.prepare(model, optimizers.build(model, training))
        bare = accelerator.unwrap_model(self.model)
        labels = torch.from_numpy(np.array(tokens.classes, np.int64))
        teacher = inside = None
        if taught is not None:
            teacher = torch.from_numpy(taught.logits)
            inside = None if taught.hidden is None else torch.from_numpy(taught.hidden)
        self.state = State(
            accelerator,
            self.model,
            self.optimizer,
            optimizers.kept(training),
            options.begin(Start(training, bare, mask_id, seed, tokens.lengths)),
            Targets(labels, teacher=teacher, hidden=inside),
            seed,
        )
        known = tokens.classes[tokens.classes >= 0]
        loss = losses.begin(training, known, classes)
        self._distilled = distilled(loss, taught, tokens.classes)
        weight = 0.0 if taught is None else taught.how.hidden
        asked = (self.state, training, tokens, pad_id)
        self._stepper = Stepper(*asked, self._distilled or loss, weight, self._warn)
        self.validator: Validator | None = None
        if validation is not None:
            weighed = weights_of(training.class_weights, known, classes)
            facts = (self.state, training, validation, pad_id, weighed, name, log)
            held = None if taught is None else taught.held
            learnt = sample(tokens, len(validation.classes))
            self.validator = Validator(*facts, self._stepper.norms, learnt, update_rank, held)

    @property
    def bare_model(self) -> Any:
        return self.state.bare_model

    @property
    def position(self) -> Position:
        return self.state.position

    @property
    def answers(self) -> dict[str, NDArray[np.float32]] | None:
        """What the trained model (`ANSWERS`) and its snapshots said of the validation rows, where
        that was all they were for."""
        return self.state.answers

    def run(self, *, end_monotonic_s: float | None) -> Position:
        """Train to the end of the plan, an early stop, an interrupt, or `end_monotonic_s`.

        Call `resume` before, to go on from a checkpoint. Raises NonFiniteLoss or CannotSave.
        """
        lengths, batch_tokens = self.tokens.lengths, self.training.batch_tokens
        planned = steps_in(
            lengths, seed=self.seed, epochs=self.training.epochs, batch_tokens=batch_tokens
        )
        per_epoch = steps_in(lengths, seed=self.seed, epochs=1, batch_tokens=batch_tokens)
        validate_every = max(1, math.ceil(per_epoch / self.training.evaluations_per_epoch))
        at = self.position
        if not at.step:
            at.total_steps = planned
            set_seed(self.seed % 2**32)
        if self._soft_targets is not None and self.state.targets.soft is None:
            self._learn_instead(self._soft_targets)
        # With an end time the plan moves, and its cycles' ends with it: none is kept then.
        kept = self.training.cycles if end_monotonic_s is None else 0
        if self.saver is not None:  # weights, two moments and the best weights
            copies = 4 + kept
            self.saver.expect(copies * sum(t.nbytes for t in weights(self.bare_model).values()))
            self.stop.reserve_s = self.saver.reserve_s
        clock, losses = Clock(), Running()
        batches = batches_from(
            lengths,
            seed=self.seed,
            epoch=at.epoch,
            position=at.batch,
            batch_tokens=batch_tokens,
            order=self._ordered,
        )
        self.model.train()
        while True:
            over = cycles.ended(kept, at.step, at.total_steps)
            is_due = at.step and (at.step % validate_every == 0 or at.step >= at.total_steps)
            if (is_due or over) and at.validated_step < at.step and not self._validate(clock):
                at.interrupted = True
            elif over:
                self.state.keep(over)
            if at.interrupted or at.is_over:
                break
            if self._is_stop_agreed(clock):
                at.interrupted = True
                break
            if self.saver is not None and self._agree_on(
                self.saver.is_due(left_s=self.stop.left_s)
            ):
                self._save(losses, clock, end_monotonic_s, "interval")
            epoch, batch, rows = next(batches)
            rate = learning_rate(self.training, at.step, at.total_steps)
            loss = self._stepper.step(rows, rate, epoch)
            losses.add(loss)
            sync(self.accelerator.device)
            at.step, at.epoch, at.batch = at.step + 1, epoch, batch + 1
            at.examples += self.tokens.rows_begun(rows)
            clock.step()
            if self.trace is not None:
                digest = hashlib.sha256(rows.tobytes()).hexdigest()[:16]
                self.trace(StepTrace(at.step, digest, rate, self._whole(loss)))
            if clock.is_report_due() or at.step >= at.total_steps:
                self._report(losses, clock, rate, end_monotonic_s)
            if end_monotonic_s is not None and at.step >= _MEASURED_STEPS:
                self._fit_to_time(planned, end_monotonic_s, clock)
        try:
            self._save_last(losses, clock, end_monotonic_s)
        except CannotSave:
            if at.interrupted:
                raise  # else training is over, and the model matters more than this checkpoint
        self.state.deliver()
        return at

    def _whole(self, part: torch.Tensor) -> float:
        """Of what each process adds up of a step, the sum: all call this."""
        if self.accelerator.num_processes == 1:
            return float(part)
        return float(self.accelerator.reduce(part.detach(), "sum"))

    def _warn(self, text: str) -> None:
        self.log("warning", text=f"{self.name}: {text}")

    def _fit_to_time(self, planned: int, end_s: float, clock: Clock) -> None:
        at = self.position
        if at.step == _MEASURED_STEPS or at.step % _REPLAN_STEPS == 0:
            spare_s = end_s - time.monotonic() - self._validation_s
            self._replan(planned, spare_s, clock.seconds_per_step)
        is_late = time.monotonic() + clock.seconds_per_step > end_s - self._validation_s
        if self._agree_on(is_late):
            at.total_steps = at.step  # slower than any plan: time is up

    def _ordered(self, batches: list[Indices], epoch: int) -> list[Indices]:
        for option in self.state.options.values():
            batches = option.order(batches, epoch)
        return batches

    # ---- checkpoints -----------------------------------------------------------------------------

    def resume(self) -> Saved | None:
        """Go to the newest checkpoint that verifies; None, and nothing changed, without one.

        Every process reads for itself. Raises Misfit when what was saved does not fit; this
        object is then of no use.
        """
        # Weights, best weights, two moments and snapshots; buffers and generators are small.
        copies = 8 + self.training.cycles
        most_bytes = copies * sum(t.nbytes for t in weights(self.bare_model).values()) + (64 << 20)
        most_bytes += 4 * len(self.tokens.classes) * self._classes  # a teacher's answers
        found = self.saver.newest(most_bytes=most_bytes) if self.saver is not None else None
        if found is None:
            return None
        saved, tensors = found
        self.state.restore(saved, tensors)
        if self.answers is None:
            self._saved_at = (self.position.step, self.position.validated_step)
        return saved

    def conclude(self, answers: dict[str, NDArray[np.float32]]) -> None:
        """Keep what is said of the validation rows, each (rows, classes), and no weights.

        A later session finds them in `answers` once it called `resume`.
        """
        self.state.answers = answers
        if self.saver is not None and self.accelerator.is_main_process:
            tensors = {ANSWERS: {name: torch.from_numpy(said) for name, said in answers.items()}}
            self.saver.conclude(
                Snapshot(tensors, {"position": self.position.as_json()}), step=self.position.step
            )

    def _save_last(self, losses: Running, clock: Clock, end_s: float | None) -> None:
        """Until it is whole: whoever hears that the run is paused may end this process."""
        at = self.position
        while self.saver is not None:
            self.saver.finish()
            if not at.interrupted and not self._saves_end:
                break
            is_unsaved = self._saved_at != (at.step, at.validated_step) or self.saver.has_failed
            if not self._agree(float(is_unsaved)):
                break
            self._save(losses, clock, end_s, "final")

    def _save(self, losses: Running, clock: Clock, end_s: float | None, why: Why) -> None:
        """Take a snapshot and hand it to the saver; all processes call this at the same step."""
        assert self.saver is not None
        at, began_s = self.position, time.monotonic()
        if losses.is_pending:  # so that no state with a loss that is not finite is ever saved
            rate = learning_rate(self.training, max(0, at.step - 1), at.total_steps)
            self._report(losses, clock, rate, end_s)
        self._saved_at = (at.step, at.validated_step)
        generators = self.state.every_generator()
        if self.accelerator.is_main_process:
            try:
                tensors = self.state.copied() | {"generators": generators}
            except (MemoryError, RuntimeError) as error:  # torch's allocators raise the latter
                self.saver.failed(error, step=at.step)
                return
            if not are_finite(tensors["weights"]):
                # A step whose loss was finite may have spoilt them; the next loss will say so.
                self.log("warning", text=f"weights of step {at.step} are not finite: not saved")
                return
            scaler = self.accelerator.scaler
            state = {
                "position": at.as_json(),
                "scaler": scaler.state_dict() if scaler is not None else None,
            }
            snapshot = Snapshot(tensors, state, pause_s=time.monotonic() - began_s)
            self.saver.save(snapshot, why, step=at.step, wait=why == "final")
            self.stop.reserve_s = self.saver.reserve_s
        clock.exclude(time.monotonic() - began_s)

    def _learn_instead(self, soft_targets: Callable[[], NDArray[np.float32]]) -> None:
        """Soft targets, the main process's on all of them."""
        answer = [soft_targets() if self.accelerator.is_main_process else None]
        broadcast_object_list(answer)
        assert answer[0] is not None
        self.state.targets = replace(self.state.targets, soft=torch.from_numpy(answer[0]))

    def _report(self, losses: Running, clock: Clock, rate: float, end_s: float | None) -> None:
        at = self.position
        mean = losses.mean_over(self.accelerator)
        if not math.isfinite(mean):
            kept = "nothing is kept"
            if self.state.best is not None:
                self.state.deliver()
                kept = f"the model of step {at.best_step} is kept"
            raise NonFiniteLoss(
                value=mean,
                step=at.step,
                lr=rate,
                precision=self.precision,
                kept=kept,
                suggestion=self.training.lr / 3,
            )
        rows_per_step = at.examples / at.step
        apart = None if self._distilled is None else self._distilled.apart()
        self.log(
            "progress",
            candidate=self.name,
            step=at.step,
            total_steps=at.total_steps,
            examples=at.examples,
            examples_per_s=round(rows_per_step / clock.seconds_per_step, 2),
            loss=round(mean, 4),
            lr=rate,
            epoch=at.epoch,
            teacher_kl=None if apart is None else round(apart, 5),
            left_s=round((at.total_steps - at.step) * clock.seconds_per_step, 1),
        )

    def _replan(self, planned: int, spare_s: float, seconds_per_step: float) -> None:
        """Fit the number of steps to the time left; the recipe's own number is the most."""
        at = self.position
        seconds_per_step = self._agree(seconds_per_step)
        spare_s = self._agree(spare_s)
        fits = at.step + max(0, int(spare_s / seconds_per_step))
        wanted = min(planned, fits)
        is_late = wanted < at.total_steps
        if is_late or wanted > at.total_steps * 1.03:
            if abs(wanted - at.total_steps) > 0.1 * at.total_steps:
                left = f"{spare_s:.0f} s" if spare_s > 0 else "no time"
                self.log(
                    "note",
                    text=f"{self.name}: {wanted} steps planned instead of {at.total_steps}: "
                    f"{seconds_per_step:.2f} s a step measured, {left} left for training",
                )
            at.total_steps = wanted

    def _validate(self, clock: Clock) -> bool:
        """Validate, keep the weights if they are the best; False when a stop comes before its end.

        A validation that was given up is done again, whole, when the run goes on.
        """
        at, is_alone = self.position, self.accelerator.num_processes == 1
        if self.validator is None:
            at.validated_step = at.step
            return True
        began_s = time.monotonic()
        if is_alone and self.stop.left_s < self._validation_s:
            return False
        try:
            self.validator.validate(self.stop.check if is_alone else lambda: None)
        except StopRequested:
            return False
        self._validation_s = time.monotonic() - began_s
        clock.exclude(self._validation_s)
        return True

    def _agree(self, value: float) -> float:
        """The largest of every process's `value`, so that all take the same decision."""
        if self.accelerator.num_processes == 1:
            return value
        mine = torch.tensor([value], device=self.accelerator.device, dtype=torch.float64)
        return float(self.accelerator.gather(mine).max())

    def _agree_on(self, mine: bool) -> bool:
        """Whether any process says so; several are asked at every fourth step."""
        if self.accelerator.num_processes == 1:
            return mine
        return self.position.step % 4 == 0 and self._agree(float(mine)) > 0

    def _is_stop_agreed(self, clock: Clock) -> bool:
        is_late = self.stop.left_s < clock.seconds_per_step and self.position.step > 0
        return self._agree_on(self.stop.is_set or is_late)
