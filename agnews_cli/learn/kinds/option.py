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
from agnews_cli.learn.rows.batches import Indices
from agnews_cli.learn.state.snapshot import Tensors

Batch = dict[str, torch.Tensor]
Again = Callable[[], torch.Tensor]


@dataclass(frozen=True, slots=True)
class Start:
    """What there is when a fine-tuning begins."""

    training: Training
    model: nn.Module
    """Bare, on its device, with what the method added."""
    mask_id: int
    seed: int


def _same_batch(batch: Batch, rows: Indices, epoch: int) -> Batch:
    return batch


def _same_loss(loss: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
    return loss


def _no_more(again: Again) -> None: ...


def _no_step(step: int) -> None: ...


def _no_state(saved: Tensors) -> None: ...


@dataclass(frozen=True, slots=True)
class Option:
    """By default nothing is done anywhere."""

    batch: Callable[[Batch, Indices, int], Batch] = _same_batch
    """(the batch on the host, its rows, the epoch): the batch to train on."""
    copies: int = 1
    """How often the whole batch stands, one after the other, in what passes forwards."""
    loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor] = _same_loss
    """(summed loss, logits), copies included: the summed loss to minimise."""
    after_backward: Callable[[Again], None] = _no_more
    """Called when a micro-batch has its gradients. `again()` passes it forwards and backwards once
    more; gradients add up."""
    after_step: Callable[[int], None] = _no_step
    """Called with the step (0-based) whose weights are now there."""
    judged: Callable[[], AbstractContextManager[None]] = nullcontext
    """Within, the model holds what is to be validated."""
    delivered: Callable[[], Tensors | None] = lambda: None
    """Weights to deliver where no validation chose any; None: those of the last step."""
    state: Callable[[], Tensors] = dict
    """What going on needs, not copied; empty where there is nothing."""
    restore: Callable[[Tensors], None] = _no_state
    """Go on from a `state`. Raises Misfit where it does not fit."""
