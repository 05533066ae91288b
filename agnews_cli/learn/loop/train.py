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
from contextlib import ExitStack, nullcontext
from dataclasses import replace
from functools import partial
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
from agnews_cli.learn.figures import blend
from agnews_cli.learn.kinds.loss import Targets
from agnews_cli.learn.kinds.option import Batch, Start
from agnews_cli.learn.loop.forward import on_device, predict
from agnews_cli.learn.loop.learning_rate import learning_rate
from agnews_cli.learn.loop.pace import Clock, Running
from agnews_cli.learn.loop.position import Position, StepTrace
from agnews_cli.learn.rows.batches import Indices, batches_from, cut, steps_in
from agnews_cli.learn.rows.tokens import Tokens
from agnews_cli.learn.rows.weighing import weights_of
from agnews_cli.learn.state.saving import Saver, kept_in
from agnews_cli.learn.state.snapshot import (
    Misfit,
    Snapshot,
    Tensors,
    are_finite,
    generator_tensors,
    on_host,
    optimizer_tensors,
    restore_generators,
    restore_optimizer,
    restore_weights,
    weights,
)
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
        temperature: float = 1.0,
        saves_end: bool = True,
    ) -> None:
        """`validation`: None trains to the end of the plan, and the last weights are the best.

        `soft_targets`: says what the training rows are to learn instead of their labels, (rows,
        classes) probabilities at `temperature`; asked once, by the main process. `saves_end`:
        whether the end of training is saved, and not only that of a session.
        """
        self.name, self.training, self.precision = name, training, precision
        self.tokens, self.validation, self.pad_id, self.seed = tokens, validation, pad_id, seed
        self.accelerator, self.log, self.stop = accelerator, log, stop
        self.saver, self.trace = saver, trace
        self.position = Position()
        self.answers: NDArray[np.float32] | None = None
        """What the trained model said of the validation rows, where that was all it was for."""
        self._best: Tensors | None = None
        self._lowest: NDArray[np.float64] | None = None
        """Each validation row's loss where their mean was lowest."""
        self._saved_at: tuple[int, int] | None = None
        self._validation_s = 0.0
        self._soft_targets, self._classes, self._saves_end = soft_targets, classes, saves_end
        self._targets = Targets(
            torch.from_numpy(np.array(tokens.classes, np.int64)), temperature=temperature
        )
        self._class_weights = weights_of(training.class_weights, tokens.classes, classes)
        self._loss = losses.begin(training, tokens.classes, classes)
        self.model, self.optimizer = accelerator.prepare(model, optimizers.build(model, training))
        self._options = options.begin(Start(training, self.bare_model, mask_id, seed))
        self._copies = math.prod(option.copies for option in self._options.values())

    @property
    def bare_model(self) -> Any:
        return self.accelerator.unwrap_model(self.model)

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
        if self._soft_targets is not None and self._targets.soft is None:
            self._learn_instead(self._soft_targets)
        if self.saver is not None:  # weights, two moments and the best weights
            self.saver.expect(4 * sum(t.nbytes for t in weights(self.bare_model).values()))
            self.stop.reserve_s = self.saver.reserve_s
        clock, losses = Clock(), Running()
        batches = batches_from(
            lengths, seed=self.seed, epoch=at.epoch, position=at.batch, batch_tokens=batch_tokens
        )
        self.model.train()
        while True:
            is_due = at.step and (at.step % validate_every == 0 or at.step >= at.total_steps)
            if is_due and at.validated_step < at.step and not self._validate(clock):
                at.interrupted = True
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
            loss = self._step(rows, rate, epoch)
            losses.add(loss)
            at.step, at.epoch, at.batch = at.step + 1, epoch, batch + 1
            at.examples += len(rows)
            clock.step()
            if self.trace is not None:
                digest = hashlib.sha256(rows.tobytes()).hexdigest()[:16]
                self.trace(StepTrace(at.step, digest, rate, float(loss)))
            if clock.is_report_due() or at.step >= at.total_steps:
                self._report(losses, clock, rate, end_monotonic_s)
            if end_monotonic_s is not None and at.step >= _MEASURED_STEPS:
                self._fit_to_time(planned, end_monotonic_s, clock)
        try:
            self._save_last(losses, clock, end_monotonic_s)
        except CannotSave:
            if at.interrupted:
                raise  # else training is over, and the model matters more than this checkpoint
        if self._best is not None:
            restore_weights(self.bare_model, self._best, "best")
        else:
            for name, option in self._options.items():
                if (delivered := option.delivered()) is not None:
                    restore_weights(self.bare_model, delivered, name)
        return at

    def _fit_to_time(self, planned: int, end_s: float, clock: Clock) -> None:
        at = self.position
        if at.step == _MEASURED_STEPS or at.step % _REPLAN_STEPS == 0:
            spare_s = end_s - time.monotonic() - self._validation_s
            self._replan(planned, spare_s, clock.seconds_per_step)
        is_late = time.monotonic() + clock.seconds_per_step > end_s - self._validation_s
        if self._agree_on(is_late):
            at.total_steps = at.step  # slower than any plan: time is up

    # ---- checkpoints -----------------------------------------------------------------------------

    def resume(self) -> Saved | None:
        """Go to the newest checkpoint that verifies; None, and nothing changed, without one.

        Every process reads for itself. Raises Misfit when what was saved does not fit; this
        object is then of no use.
        """
        # Weights, best weights and two moments; buffers and generators are small.
        most_bytes = 8 * sum(t.nbytes for t in weights(self.bare_model).values()) + (64 << 20)
        most_bytes += 4 * len(self.tokens.classes) * self._classes  # a teacher's answers
        found = self.saver.newest(most_bytes=most_bytes) if self.saver is not None else None
        if found is None:
            return None
        saved, tensors = found
        if "answers" in tensors:  # concluded: nothing is left to train
            self.position = Position.from_json(kept_in(saved.manifest.state, "position"))
            self.answers = tensors["answers"]["answers"].numpy()
            return saved
        stateful = [name for name, option in self._options.items() if option.state()]
        for name in ["weights", "optimizer", "generators", *stateful]:
            if name not in tensors:
                raise Misfit(f"{saved.id} has no {name}")
        position = Position.from_json(kept_in(saved.manifest.state, "position"))
        optimizer = getattr(self.optimizer, "optimizer", self.optimizer)
        restore_weights(self.bare_model, tensors["weights"])
        shapes = optimizers.state_shapes(self.training)
        restore_optimizer(self.bare_model, optimizer, tensors["optimizer"], shapes)
        for name in stateful:
            self._options[name].restore(tensors[name])
        scaler = self.accelerator.scaler
        if scaler is not None and (state := saved.manifest.state.get("scaler")):
            scaler.load_state_dict(state)
        self._best = tensors.get("best")
        if "targets" in tensors:
            self._targets = replace(self._targets, soft=tensors["targets"]["targets"])
        if "validation" in tensors:
            self._lowest = tensors["validation"]["lowest"].numpy()
        self.position, self._saved_at = position, (position.step, position.validated_step)
        mine = {
            name.partition(".")[2]: tensor
            for name, tensor in tensors["generators"].items()
            if name.partition(".")[0] == str(self.accelerator.process_index)
        }
        if mine:
            restore_generators(mine)
        else:  # more processes than before: generators of their own, a function of the position
            other = self.seed * 1_000_003 + position.step * 64 + self.accelerator.process_index
            set_seed(other % 2**32)
        return saved

    def conclude(self, answers: NDArray[np.float32]) -> None:
        """Keep what the trained model says of its validation rows, (rows, classes), and no weights.

        A later session finds them in `answers` once it called `resume`.
        """
        self.answers = answers
        if self.saver is not None and self.accelerator.is_main_process:
            tensors = {"answers": {"answers": torch.from_numpy(answers)}}
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
        generators = self._every_generator()
        if self.accelerator.is_main_process:
            try:
                tensors = self._copied() | {"generators": generators}
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

    def _copied(self) -> dict[str, Tensors]:
        """Copies on the host of all tensors that training needs, by blob, but the generators."""
        optimizer = getattr(self.optimizer, "optimizer", self.optimizer)
        tensors = {
            "weights": on_host(weights(self.bare_model)),
            "optimizer": on_host(optimizer_tensors(self.bare_model, optimizer)),
        }
        for name, option in self._options.items():
            if state := option.state():
                tensors[name] = on_host(state)
        if self._targets.soft is not None:
            tensors["targets"] = {"targets": self._targets.soft}
        if self._lowest is not None:
            tensors["validation"] = {"lowest": torch.from_numpy(self._lowest)}
        return tensors | ({"best": self._best} if self._best is not None else {})

    def _every_generator(self) -> Tensors:
        world = self.accelerator.num_processes
        each: list[Any] = [on_host(generator_tensors())]
        if world > 1:
            mine, each = each[0], [None] * world
            torch.distributed.all_gather_object(each, mine)
        return {f"{rank}.{n}": t for rank, states in enumerate(each) for n, t in states.items()}

    def _step(self, rows: Indices, rate: float, epoch: int) -> torch.Tensor:
        """One optimizer step on the global batch `rows`; returns its mean loss, on the device."""
        accelerator = self.accelerator
        mine = rows[accelerator.process_index :: accelerator.num_processes]
        parts = self._micro_batches(mine)
        loss_sum = torch.zeros((), device=accelerator.device)
        for number, part in enumerate(parts):
            batch = self.tokens.batch(part, self.pad_id)
            for option in self._options.values():
                batch = option.batch(batch, part, epoch)
            batch = on_device(batch, accelerator.device)
            if self._copies > 1:
                batch = {name: torch.cat([t] * self._copies) for name, t in batch.items()}
            targets = self._targets.of(torch.from_numpy(part)).to(accelerator.device)
            one_pass = partial(
                self._pass,
                batch,
                targets.repeated(self._copies),
                len(rows),
                is_last=number == len(parts) - 1,
                counts=bool(len(mine)),
            )
            loss_sum += one_pass()
            for option in self._options.values():
                option.after_backward(one_pass)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        accelerator.clip_grad_norm_(self.model.parameters(), self.training.clip_norm)
        self.optimizer.step()
        self.optimizer.zero_grad()
        for option in self._options.values():
            option.after_step(self.position.step)
        return loss_sum

    def _pass(
        self, batch: Batch, targets: Targets, rows: int, *, is_last: bool, counts: bool
    ) -> torch.Tensor:
        """A micro-batch forwards and backwards; returns its part of the mean loss over `rows`.

        `counts`: whether its loss does; `is_last`: whether the processes add their gradients up.
        """
        accelerator = self.accelerator
        context = nullcontext() if is_last else accelerator.no_sync(self.model)
        with context, accelerator.autocast():
            logits = self.model(**batch).logits.float()
            loss = self._loss(logits, targets)
            for option in self._options.values():
                loss = option.loss(loss, logits)
            loss = loss / rows
            if not counts:
                loss = loss * 0.0
        # DDP averages over processes; the sum over them is wanted.
        accelerator.backward(loss * accelerator.num_processes)
        return loss.detach()

    def _learn_instead(self, soft_targets: Callable[[], NDArray[np.float32]]) -> None:
        """Soft targets, the main process's on all of them."""
        answer = [soft_targets() if self.accelerator.is_main_process else None]
        broadcast_object_list(answer)
        assert answer[0] is not None
        self._targets = replace(self._targets, soft=torch.from_numpy(answer[0]))

    def _micro_batches(self, mine: Indices) -> list[Indices]:
        if not len(mine):  # fewer rows than processes: one row whose loss counts for nothing
            return [np.zeros(1, dtype=np.int64)]
        most = self.training.micro_batch_tokens
        return cut(mine, self.tokens.lengths, max(1, most // self._copies)) if most else [mine]

    def _report(self, losses: Running, clock: Clock, rate: float, end_s: float | None) -> None:
        at = self.position
        mean = losses.mean_over(self.accelerator)
        if not math.isfinite(mean):
            kept = "nothing is kept"
            if self._best is not None:
                restore_weights(self.bare_model, self._best, "best")
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
                self.log(
                    "note",
                    text=f"{self.name}: {wanted} steps planned instead of {at.total_steps}: "
                    f"{seconds_per_step:.2f} s a step measured, {spare_s:.0f} s left for training",
                )
            at.total_steps = wanted

    def _validate(self, clock: Clock) -> bool:
        """Validate, keep the weights if they are the best; False when a stop comes before its end.

        A validation that was given up is done again, whole, when the run goes on.
        """
        if self.validation is None:
            self.position.validated_step = self.position.step
            return True
        began_s, is_alone = time.monotonic(), self.accelerator.num_processes == 1
        if is_alone and self.stop.left_s < self._validation_s:
            return False
        try:
            with ExitStack() as judged:
                for option in self._options.values():
                    judged.enter_context(option.judged())
                probabilities = predict(
                    self.bare_model,  # the other talks to all processes, and one may have no rows
                    self.validation,
                    self.pad_id,
                    self.accelerator,
                    self.training.batch_tokens,
                    check=self.stop.check if is_alone else lambda: None,
                )
                self._judge(probabilities, self.validation.classes, time.monotonic() - began_s)
        except StopRequested:
            return False
        finally:
            self.model.train()
        self._validation_s = time.monotonic() - began_s
        clock.exclude(self._validation_s)
        return True

    def _judge(
        self, probabilities: NDArray[np.floating], classes: NDArray[np.int64], took_s: float
    ) -> None:
        """Compare this validation with the lowest loss so far, and keep the weights that are best.

        The best is the last one not worse than the lowest loss by more than a standard error of
        their difference over the rows: later weights have decayed further, and which of two equals
        a few hundred rows prefer is chance (the one-standard-error rule, Breiman et al. 1984).
        """
        at = self.position
        losses = blend.row_losses(blend.calibrated(probabilities, classes), classes)
        if self._class_weights is not None:  # or the step that answers no rare class wins
            losses = losses * self._class_weights.astype(np.float32)[classes]
        loss = float(losses.mean())
        if loss < at.lowest_loss:
            at.lowest_loss, at.validations_without_gain = loss, 0
            self._lowest = losses
        else:
            at.validations_without_gain += 1
        is_best = self._lowest is not None and not _is_worse(losses, self._lowest)
        if is_best:
            at.best_step = at.step
            self._best = on_host(weights(self.bare_model))
        at.validated_step = at.step
        at.stopped_early = at.validations_without_gain >= self.training.patience
        self.log(
            "validated",
            candidate=self.name,
            step=at.step,
            loss=round(loss, 4),
            accuracy=round(float((probabilities.argmax(1) == classes).mean()), 4),
            best=is_best,
            seconds=round(took_s, 2),
        )

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


def _is_worse(losses: NDArray[np.float64], than: NDArray[np.float64]) -> bool:
    """By more than one standard error of the mean difference, over the same rows; or no number."""
    apart = losses - than
    return not apart.mean() <= apart.std(ddof=1) / np.sqrt(len(apart))
