"""What a training option does at each place of the loop.

An option is a module of `learn.options` with

- `EXAMPLE`: fields of `Training` that turn it on, for the suite that tests every option;
- `begin(start) -> Option | None`: the option for one fine-tuning; None where it is off.

All that an option remembers between two steps is in its `state`. What it draws is a pure function
of seed, epoch and row, or comes from torch's generator, whose state is saved.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import nn

from agnews_cli.core.run.preset import Training
from agnews_cli.learn.kinds.loss import Loss, Targets
from agnews_cli.learn.rows.batches import Indices, Order
from agnews_cli.learn.state.snapshot import Tensors

Batch = dict[str, torch.Tensor]
Again = Callable[[], torch.Tensor]
Gradients = Callable[[], torch.Tensor]
"""Adds up the gradients of a whole step; returns its mean loss."""


@dataclass(frozen=True, slots=True)
class Start:
    """What there is when a fine-tuning begins."""

    training: Training
    model: nn.Module
    """Bare, on its device, with what the method added."""
    mask_id: int
    seed: int
    lengths: Indices
    """Tokens of each passage of the training rows, (passages,): of each row, or of its windows."""


def _same_batch(batch: Batch, rows: Indices, epoch: int) -> Batch:
    return batch


def _same_loss(loss: torch.Tensor, logits: torch.Tensor, targets: Targets) -> torch.Tensor:
    return loss


def _same_criterion(loss: Loss) -> Loss:
    return loss


def _same_gradients(gradients: Gradients) -> torch.Tensor:
    return gradients()


def _same_order(batches: list[Indices], epoch: int) -> list[Indices]:
    return batches


def _no_more(again: Again) -> None: ...


def _no_step(step: int, steps: int) -> None: ...


def _no_state(saved: Tensors) -> None: ...


@dataclass(frozen=True, slots=True)
class Option:
    """By default nothing is done anywhere."""

    order: Order = _same_order
    """(the batches of an epoch, shuffled; the epoch, from 0): the same in another order, which is a
    pure function of both."""
    batch: Callable[[Batch, Indices, int], Batch] = _same_batch
    """(the batch on the host, its rows, the epoch): the batch to train on."""
    copies: int = 1
    """How often the whole batch stands, one after the other, in what passes forwards."""
    loss: Callable[[torch.Tensor, torch.Tensor, Targets], torch.Tensor] = _same_loss
    """(summed loss, logits, targets), copies included: the summed loss to minimise."""
    criterion: Callable[[Loss], Loss] = _same_criterion
    """The preset's loss, or what other options made of it: the loss to take in its place."""
    pass_weight: float = 1.0
    """How much each pass of a row counts, where an option makes several of it."""
    gradients: Callable[[Gradients], torch.Tensor] = _same_gradients
    """Called in the place of what it is given, at each step; it calls that itself."""
    after_backward: Callable[[Again], None] = _no_more
    """Called when a micro-batch has its gradients. `again()` passes it forwards and backwards once
    more; gradients add up."""
    after_step: Callable[[int, int], None] = _no_step
    """Called with the step (0-based) whose weights are now there, and how many are planned."""
    judged: Callable[[], AbstractContextManager[None]] = nullcontext
    """Within, the model holds what is to be validated."""
    delivered: Callable[[], Tensors | None] = lambda: None
    """Weights to deliver where no validation chose any; None: those of the last step."""
    state: Callable[[], Tensors] = dict
    """What going on needs, not copied; empty where there is nothing."""
    restore: Callable[[Tensors], None] = _no_state
    """Go on from a `state`. Raises Misfit where it does not fit."""
