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
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from accelerate import Accelerator
from accelerate.utils import set_seed
from torch import nn

from agnews_cli.core.preset import Training
from agnews_cli.errors import CannotSave, NonFiniteLoss
from agnews_cli.learn.batches import Indices, batches_from, by_length, cut, steps_in
from agnews_cli.learn.data import Tokens
from agnews_cli.learn.events import EventLog, StopFlag, StopRequested
from agnews_cli.learn.saving import Saver, kept_in
from agnews_cli.learn.snapshot import (
    Misfit,
    Snapshot,
    Tensors,
    generator_tensors,
    on_host,
    optimizer_tensors,
    restore_generators,
    restore_optimizer,
    restore_weights,
    weights,
)
from agnews_cli.store.checkpoints import Saved, Why

_MEASURED_STEPS = 12  # before the plan is fitted to the speed; the first three are not counted
_REPLAN_STEPS = 25
_REPORT_EVERY_S = 1.0


@dataclass(slots=True)
class Position:
    """Where training stands between two steps; with the tensors, all that going on needs."""

    step: int = 0
    examples: int = 0
    epoch: int = 0
    batch: int = 0
    """The next batch of the epoch."""
    total_steps: int = 0
    validated_step: int = 0
    best_loss: float = math.inf
    best_step: int = 0
    validations_without_gain: int = 0
    stopped_early: bool = False
    interrupted: bool = False

    @property
    def is_over(self) -> bool:
        return self.stopped_early or self.step >= self.total_steps

    def as_json(self) -> dict[str, Any]:
        """The state to save; JSON has no infinity."""
        facts = asdict(self) | {"interrupted": False}
        return facts | ({"best_loss": None} if math.isinf(self.best_loss) else {})

    @classmethod
    def from_json(cls, facts: dict[str, Any]) -> Position:
        """The counterpart of `as_json`. Raises Misfit for missing, unknown or senseless fields."""
        try:
            at = cls(**facts | ({"best_loss": math.inf} if facts["best_loss"] is None else {}))
        except (TypeError, KeyError) as error:
            raise Misfit(f"position: {error}") from error
        for name, value in asdict(at).items():
            kind = type(getattr(cls(), name))
            if type(value) is not kind or (kind is int and not 0 <= value < 1 << 53):
                raise Misfit(f"position: {name} is {value!r}")
        if at.step > at.total_steps:
            raise Misfit(f"position: step {at.step} of {at.total_steps}")
        return at


@dataclass(frozen=True, slots=True)
class StepTrace:
    """One step, for whoever compares two runs. `rows`: SHA-256 of the row numbers, 16 digits."""

    step: int
    rows: str
    lr: float
    loss: float


def learning_rate(training: Training, step: int, total_steps: int) -> float:
    """Rate of step `step` (0-based): linear rise over the warm-up share, then decay to zero."""
    warmup = max(1, round(training.warmup * total_steps))
    if step < warmup:
        return training.lr * (step + 1) / warmup
    left = max(0.0, (total_steps - step) / max(1, total_steps - warmup))
    if training.schedule == "linear":
        return training.lr * left
    return training.lr * 0.5 * (1 + math.cos(math.pi * (1 - left)))


def optimizer_for(model: nn.Module, training: Training) -> torch.optim.AdamW:
    """Fused AdamW; biases and norms (one-dimensional weights) do not decay."""
    weights = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in weights if p.dim() > 1], "weight_decay": training.weight_decay},
        {"params": [p for p in weights if p.dim() <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW([g for g in groups if g["params"]], lr=training.lr, fused=True)


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
        validation: Tokens,
        pad_id: int,
        seed: int,
        log: EventLog,
        stop: StopFlag,
        saver: Saver | None = None,
        trace: Callable[[StepTrace], None] | None = None,
    ) -> None:
        self.name, self.training, self.precision = name, training, precision
        self.tokens, self.validation, self.pad_id, self.seed = tokens, validation, pad_id, seed
        self.accelerator, self.log, self.stop = accelerator, log, stop
        self.saver, self.trace = saver, trace
        self.position = Position()
        self._best: Tensors | None = None
        self._saved_at: tuple[int, int] | None = None
        self._validation_s = 0.0
        self.model, self.optimizer = accelerator.prepare(model, optimizer_for(model, training))

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
        if self.saver is not None:
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
            if self.saver is not None and self._agree_on(self.saver.is_due()):
                self._save(losses, clock, end_monotonic_s, "interval")
            epoch, batch, rows = next(batches)
            rate = learning_rate(self.training, at.step, at.total_steps)
            loss = self._step(rows, rate)
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
        return at

    def _fit_to_time(self, planned: int, end_s: float, clock: Clock) -> None:
        at = self.position
        if at.step == _MEASURED_STEPS or at.step % _REPLAN_STEPS == 0:
            spare_s = end_s - time.monotonic() - self._validation_s
            self._replan(planned, spare_s, clock.seconds_per_step)
        if time.monotonic() + clock.seconds_per_step > end_s - self._validation_s:
            at.total_steps = at.step  # slower than any plan: time is up

    # ---- checkpoints -----------------------------------------------------------------------------

    def resume(self) -> Saved | None:
        """Go to the newest checkpoint that verifies; None, and nothing changed, without one.

        Every process reads for itself. Raises Misfit when what was saved does not fit; this
        object is then of no use.
        """
        # Weights, best weights and two moments; buffers and generators are small.
        most_bytes = 8 * sum(t.nbytes for t in weights(self.bare_model).values()) + (64 << 20)
        found = self.saver.newest(most_bytes=most_bytes) if self.saver is not None else None
        if found is None:
            return None
        saved, tensors = found
        for name in ("weights", "optimizer", "generators"):
            if name not in tensors:
                raise Misfit(f"{saved.id} has no {name}")
        position = Position.from_json(kept_in(saved.manifest.state, "position"))
        optimizer = getattr(self.optimizer, "optimizer", self.optimizer)
        restore_weights(self.bare_model, tensors["weights"])
        restore_optimizer(self.bare_model, optimizer, tensors["optimizer"])
        scaler = self.accelerator.scaler
        if scaler is not None and (state := saved.manifest.state.get("scaler")):
            scaler.load_state_dict(state)
        self._best = tensors.get("best")
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

    def _save_last(self, losses: Running, clock: Clock, end_s: float | None) -> None:
        """Until it is whole: whoever hears that the run is paused may end this process."""
        at = self.position
        while self.saver is not None:
            self.saver.finish()
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
                optimizer = getattr(self.optimizer, "optimizer", self.optimizer)
                trained = on_host(weights(self.bare_model))
                moments = on_host(optimizer_tensors(self.bare_model, optimizer))
            except (MemoryError, RuntimeError) as error:  # torch's allocators raise the latter
                self.saver.failed(error, step=at.step)
                return
            if not all(bool(torch.isfinite(tensor).all()) for tensor in trained.values()):
                # A step whose loss was finite may have spoilt them; the next loss will say so.
                self.log("warning", text=f"weights of step {at.step} are not finite: not saved")
                return
            tensors = {
                "weights": trained,
                "optimizer": moments,
                "generators": generators,
            }
            if self._best is not None:
                tensors["best"] = self._best
            scaler = self.accelerator.scaler
            state = {
                "position": at.as_json(),
                "scaler": scaler.state_dict() if scaler is not None else None,
            }
            snapshot = Snapshot(tensors, state)
            self.saver.save(snapshot, why, step=at.step, wait=why == "final")
            self.stop.reserve_s = self.saver.reserve_s
        clock.exclude(time.monotonic() - began_s)

    def _every_generator(self) -> Tensors:
        world = self.accelerator.num_processes
        each: list[Any] = [on_host(generator_tensors())]
        if world > 1:
            mine, each = each[0], [None] * world
            torch.distributed.all_gather_object(each, mine)
        return {f"{rank}.{n}": t for rank, states in enumerate(each) for n, t in states.items()}

    def _step(self, rows: Indices, rate: float) -> torch.Tensor:
        """One optimizer step on the global batch `rows`; returns its mean loss, on the device."""
        accelerator, world = self.accelerator, self.accelerator.num_processes
        mine = rows[accelerator.process_index :: world]
        parts = self._micro_batches(mine)
        loss_sum = torch.zeros((), device=accelerator.device)
        for number, part in enumerate(parts):
            is_last = number == len(parts) - 1
            context = _nothing() if is_last else accelerator.no_sync(self.model)
            with context, accelerator.autocast():
                batch = _to(self.tokens.batch(part, self.pad_id), accelerator.device)
                loss = self._loss(batch) / len(rows)
                if not len(mine):
                    loss = loss * 0.0
            # DDP averages over processes; the sum over them is wanted.
            accelerator.backward(loss * world)
            loss_sum += loss.detach()
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        accelerator.clip_grad_norm_(self.model.parameters(), self.training.clip_norm)
        self.optimizer.step()
        self.optimizer.zero_grad()
        return loss_sum

    def _loss(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        """Cross-entropy summed over the rows; with R-Drop, half of Liang et al. 2021, eq. 4.

        The two passes with different dropout masks are one pass over the rows twice.
        """
        weight, smoothing = self.training.r_drop, self.training.label_smoothing
        if weight:
            batch = {name: torch.cat([tensor, tensor]) for name, tensor in batch.items()}
        labels = batch.pop("labels")
        logits = self.model(**batch).logits.float()
        loss = F.cross_entropy(logits, labels, reduction="sum", label_smoothing=smoothing)
        if not weight:
            return loss
        one, two = F.log_softmax(logits, -1).chunk(2)
        apart = F.kl_div(one, two, reduction="sum", log_target=True)
        apart = apart + F.kl_div(two, one, reduction="sum", log_target=True)
        return 0.5 * (loss + weight * 0.5 * apart)

    def _micro_batches(self, mine: Indices) -> list[Indices]:
        if not len(mine):  # fewer rows than processes: one row whose loss counts for nothing
            return [np.zeros(1, dtype=np.int64)]
        most = self.training.micro_batch_tokens
        if most and self.training.r_drop:
            most = max(1, most // 2)  # each row passes twice
        return cut(mine, self.tokens.lengths, most) if most else [mine]

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
        at, began_s = self.position, time.monotonic()
        is_alone = self.accelerator.num_processes == 1
        try:
            if is_alone and self.stop.left_s < self._validation_s:
                raise StopRequested
            probabilities = predict(
                self.model,
                self.validation,
                self.pad_id,
                self.accelerator,
                self.training.batch_tokens,
                check=self.stop.check if is_alone else lambda: None,
            )
        except StopRequested:
            return False
        finally:
            self.model.train()
        classes = self.validation.classes
        loss = float(-np.log(probabilities[np.arange(len(classes)), classes] + 1e-12).mean())
        accuracy = float((probabilities.argmax(1) == classes).mean())
        is_best = loss < at.best_loss
        if is_best:
            at.best_loss, at.best_step, at.validations_without_gain = loss, at.step, 0
            self._best = on_host(weights(self.bare_model))
        else:
            at.validations_without_gain += 1
        at.validated_step = at.step
        at.stopped_early = at.validations_without_gain >= self.training.patience
        self.log(
            "validated",
            candidate=self.name,
            step=at.step,
            loss=round(loss, 4),
            accuracy=round(accuracy, 4),
            best=is_best,
        )
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


class Clock:
    """Seconds a step takes, without validations: a mean that follows the recent steps."""

    def __init__(self) -> None:
        self._last_s = self._reported_s = time.monotonic()
        self.seconds_per_step = 1.0
        self._steps = 0

    def step(self) -> None:
        now_s = time.monotonic()
        took_s, self._last_s = now_s - self._last_s, now_s
        self._steps += 1
        if self._steps <= 3:
            self.seconds_per_step = took_s
            return
        weight = max(0.02, 1 / (self._steps - 3))
        self.seconds_per_step += weight * (took_s - self.seconds_per_step)

    def is_report_due(self) -> bool:
        now_s = time.monotonic()
        if now_s - self._reported_s < _REPORT_EVERY_S:
            return False
        self._reported_s = now_s
        return True

    def exclude(self, seconds: float) -> None:
        """Leave out a pause that just ended."""
        self._last_s += seconds


class Running:
    """Mean loss since the last report; kept on the device, so that no step waits for it."""

    def __init__(self) -> None:
        self._sum: torch.Tensor | None = None
        self._steps = 0

    def add(self, loss: torch.Tensor) -> None:
        self._sum = loss.clone() if self._sum is None else self._sum + loss
        self._steps += 1

    @property
    def is_pending(self) -> bool:
        return self._steps > 0

    def mean_over(self, accelerator: Accelerator) -> float:
        if self._sum is None:
            return 0.0
        # Each process reports when its own clock says so: no collective call is allowed here.
        mean = float(self._sum) / self._steps * accelerator.num_processes
        self._sum, self._steps = None, 0
        return mean


def predict(
    model: nn.Module,
    tokens: Tokens,
    pad_id: int,
    accelerator: Accelerator,
    batch_tokens: int,
    *,
    autocast: bool = True,
    check: Callable[[], None] = lambda: None,
) -> np.ndarray:
    """Class probabilities, (rows, classes) float32, in the rows' order; all processes return all.

    With `autocast` off the pass is fp32 and does not depend on the training precision: anyone who
    loads the delivered files gets the same numbers.
    """
    lengths = tokens.lengths
    model.eval()
    mine: list[tuple[Indices, np.ndarray]] = []
    batches = by_length(lengths, batch_tokens=max(batch_tokens, 1024))
    with torch.inference_mode():
        for rows in batches[accelerator.process_index :: accelerator.num_processes]:
            check()
            with accelerator.autocast() if autocast else _nothing():
                batch = _to(tokens.batch(rows, pad_id), accelerator.device)
                del batch["labels"]
                logits = model(**batch).logits.float()
            mine.append((rows, torch.softmax(logits, -1).cpu().numpy()))
    if accelerator.num_processes > 1:
        gathered: list[Any] = [None] * accelerator.num_processes
        torch.distributed.all_gather_object(gathered, mine)
        mine = [pair for share in gathered for pair in share]
    out = np.empty((len(lengths), mine[0][1].shape[1]), dtype=np.float32)
    for rows, probabilities in mine:
        out[rows] = probabilities
    return out


def _to(batch: dict[str, torch.Tensor], device: torch.device) -> dict[str, torch.Tensor]:
    if device.type != "cuda":
        return {name: tensor.to(device) for name, tensor in batch.items()}
    return {n: t.pin_memory().to(device, non_blocking=True) for n, t in batch.items()}


class _nothing:
    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...
