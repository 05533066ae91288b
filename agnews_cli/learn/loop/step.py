"""One optimizer step on a global batch, in as many passes as memory wants.

Where memory does not suffice for a pass, nothing of the step has happened yet: its gradients are
thrown away, the generators go back to its beginning, and it is done again in passes of half the
tokens, as all steps after it are. The batch stays as it is. That is remembered in `Position`, so
that a resumed run goes on as one that was never stopped. Of several processes one cannot do so
alone, for the others already wait for its gradients, and asking them at each step would cost time
at each: there it ends with the setting that halves passes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from agnews_cli.core.run.preset import Training
from agnews_cli.errors import OneTextTooLarge, OutOfMemory
from agnews_cli.learn.door.memory import give_back, is_of_memory
from agnews_cli.learn.door.xla import is_xla, sync, zero_on
from agnews_cli.learn.kinds.loss import Loss, Targets
from agnews_cli.learn.kinds.option import Batch, Gradients
from agnews_cli.learn.loop import drawn
from agnews_cli.learn.loop.forward import on_device
from agnews_cli.learn.loop.pace import Norms
from agnews_cli.learn.loop.state import State
from agnews_cli.learn.models import hidden
from agnews_cli.learn.optimizers import RATE_SHARE
from agnews_cli.learn.rows.batches import Indices, cut
from agnews_cli.learn.rows.shapes import Shapes
from agnews_cli.learn.rows.tokens import Tokens

_SHORT = 64
"""Fewer tokens of a text are proposed to nobody."""


@dataclass(slots=True)
class Stepper:
    """Calls the options at their places."""

    state: State
    training: Training
    tokens: Tokens
    pad_id: int
    loss: Loss
    hidden_weight: float = 0.0
    """How much it counts that hidden states differ from those in the targets."""
    warn: Callable[[str], None] = lambda text: None
    norms: Norms = field(default_factory=Norms)
    """Of the gradients, before they are clipped."""
    _copies: int = field(init=False)
    """How often an option wants the whole batch."""
    _pass_weight: float = field(init=False)
    _lengths: Indices = field(init=False)
    """Of each passage."""
    _row_of: Indices | None = field(init=False)
    """The row of each passage, where they are not the same."""
    _weights: NDArray[np.float32] | None = field(init=False)
    _has_few_shapes: bool = field(init=False)
    """Whether the device compiles a program for each shape of a pass."""
    _passing: tuple[int, int] = (1, 1)
    """Texts and tokens of the pass that is under way, padding and copies included."""

    def __post_init__(self) -> None:
        self._row_of, self._weights = self.tokens.row_of, self.tokens.weights
        self._lengths = self.tokens.lengths
        options = self.state.options.values()
        self._copies = math.prod(option.copies for option in options)
        self._pass_weight = math.prod(option.pass_weight for option in options)
        for option in options:
            self.loss = option.criterion(self.loss)
        self._has_few_shapes = is_xla(self.state.accelerator.device)
        if self._has_few_shapes:
            for weight in self.state.model.parameters():
                weight.grad = torch.zeros_like(weight) if weight.requires_grad else None
            sync(self.state.accelerator.device)

    def step(self, rows: Indices, rate: float, epoch: int) -> torch.Tensor:
        """One step on the global batch of passages `rows`; returns its mean loss, on the device.

        Raises OneTextTooLarge, or OutOfMemory where several processes train.
        """
        state, accelerator = self.state, self.state.accelerator
        while (loss := self._fitting(rows, epoch)) is None:
            give_back()
        for group in state.optimizer.param_groups:
            group["lr"] = rate * group[RATE_SHARE]
        self.norms.add(
            accelerator.clip_grad_norm_(state.model.parameters(), self.training.clip_norm)
        )
        state.optimizer.step()
        self._forget_gradients()
        for option in state.options.values():
            option.after_step(state.position.step, state.position.total_steps)
        return loss

    def _fitting(self, rows: Indices, epoch: int) -> torch.Tensor | None:
        """Gradients of the whole step, and its mean loss; None where memory did not suffice, and it
        is to be tried again in smaller passes."""
        device = self.state.accelerator.device
        states = drawn.generators(device)
        gradients: Gradients = partial(self._gradients, rows, epoch)
        for option in self.state.options.values():
            gradients = partial(option.gradients, gradients)
        try:
            return gradients()
        except (RuntimeError, MemoryError) as error:
            if not is_of_memory(error):
                raise
            reason = (str(error) or type(error).__name__).splitlines()[0].rstrip(".")
        self._forget_gradients()
        self._halve(reason)
        drawn.restore(states, device)
        return None

    def _forget_gradients(self) -> None:
        """Zeros where programs are compiled: adding to nothing is another one than adding."""
        self.state.optimizer.zero_grad(set_to_none=not self._has_few_shapes)

    def _halve(self, reason: str) -> None:
        """Passes have half the tokens of the one that failed from now on."""
        texts, tokens = self._passing
        at, smaller = self.state.position, max(1, tokens // 2)
        if self.state.accelerator.num_processes > 1:
            raise OutOfMemory(reason=reason, suggestion=smaller) from None
        if texts == 1:
            facts = {"step": at.step + 1, "tokens": tokens // self._copies, "reason": reason}
            ways = ", ".join(self._ways(tokens // self._copies))
            raise OneTextTooLarge(**facts, ways=ways) from None
        at.pass_tokens = smaller
        self.warn(
            f"out of memory at step {at.step + 1} with {texts} texts in a pass ({reason}): passes "
            f"have at most {smaller:,} tokens from here on; a step still counts as many texts"
        )

    def _ways(self, tokens: int) -> Iterator[str]:
        """Settings that need less memory for one text of so many tokens."""
        if not self.training.gradient_checkpointing:
            yield "--set training.gradient_checkpointing=true"
        if tokens > _SHORT:
            yield f"--set training.max_length={max(_SHORT, tokens // 2)}"
        if all(weight.requires_grad for weight in self.state.model.parameters()):
            yield "--set method.kind=lora"

    def _gradients(self, rows: Indices, epoch: int) -> torch.Tensor:
        """Those of the global batch `rows` are added up; returns its mean loss."""
        state, accelerator = self.state, self.state.accelerator
        mine = rows[accelerator.process_index :: accelerator.num_processes]
        parts = self._micro_batches(mine)
        loss_sum = zero_on(accelerator.device)
        for number, part in enumerate(parts):
            batch = self.tokens.batch(part, self.pad_id)
            for option in state.options.values():
                batch = option.batch(batch, part, epoch)
            targets = self._targets(part)
            if self._has_few_shapes:
                batch = self._shapes.padded(batch, self.pad_id)
                targets = targets.filled(len(batch["input_ids"]))
            texts, longest = batch["input_ids"].shape
            self._passing = texts, texts * longest * self._copies
            batch = on_device(batch, accelerator.device)
            if self._copies > 1:
                batch = {name: torch.cat([t] * self._copies) for name, t in batch.items()}
            targets = targets.to(accelerator.device)
            one_pass = partial(
                self._pass,
                batch,
                targets.repeated(self._copies),
                self._as_input(len(rows)),
                is_last=number == len(parts) - 1,
                counts=bool(len(mine)),
            )
            loss_sum += one_pass()
            sync(accelerator.device)
            for option in state.options.values():
                option.after_backward(one_pass)
        return loss_sum.squeeze(0)

    def _pass(
        self,
        batch: Batch,
        targets: Targets,
        rows: int | torch.Tensor,
        *,
        is_last: bool,
        counts: bool,
    ) -> torch.Tensor:
        """A micro-batch forwards and backwards; returns its part of the mean loss over `rows`.

        `counts`: whether its loss does; `is_last`: whether the processes add their gradients up.
        """
        state, accelerator = self.state, self.state.accelerator
        context = nullcontext() if is_last else accelerator.no_sync(state.model)
        with context, accelerator.autocast():
            answer = state.model(**batch, **(hidden.WANTED if self.hidden_weight else {}))
            logits = answer.logits.float()
            loss = self.loss(logits, targets)
            if self.hidden_weight and targets.hidden is not None:
                inside = hidden.last_of(answer, batch["attention_mask"])
                loss = loss + self.hidden_weight * targets.summed(
                    hidden.distances(inside, targets.hidden)
                )
            for option in state.options.values():
                loss = option.loss(loss, logits, targets)
            loss = loss / rows
            if not counts:
                loss = loss * 0.0
        # DDP averages over processes; the sum over them is wanted.
        accelerator.backward(loss * (self._pass_weight * accelerator.num_processes))
        return loss.detach()

    def _as_input(self, number: int) -> int | torch.Tensor:
        """Where programs are compiled, given to one: a bare number may become part of it."""
        if not self._has_few_shapes:
            return number
        return torch.tensor([float(number)]).to(self.state.accelerator.device).squeeze(0)

    def _targets(self, passages: Indices) -> Targets:
        """Those of their rows; a row's windows count together as much as a row that is whole."""
        if self._row_of is None or self._weights is None:
            return self.state.targets.of(torch.from_numpy(passages))
        of_rows = self.state.targets.of(torch.from_numpy(self._row_of[passages]))
        return replace(of_rows, weights=torch.from_numpy(self._weights[passages]))

    def _micro_batches(self, mine: Indices) -> list[Indices]:
        if not len(mine):  # fewer rows than processes: one row whose loss counts for nothing
            return [np.zeros(1, dtype=np.int64)]
        if self._has_few_shapes:
            return self._shapes.cut(mine, self._lengths)
        most = self._pass_tokens
        return cut(mine, self._lengths, max(1, most // self._copies)) if most else [mine]

    @property
    def _pass_tokens(self) -> int:
        """At most so many in a pass, copies included: what was asked for, and fits; 0: any."""
        asked, fits = self.training.micro_batch_tokens, self.state.position.pass_tokens
        return min(asked or fits, fits or asked or 0)

    @property
    def _shapes(self) -> Shapes:
        most = self._pass_tokens or self.training.batch_tokens
        return Shapes(max(1, most // self._copies), int(self._lengths.max()))
