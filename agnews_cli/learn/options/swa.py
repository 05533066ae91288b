"""SWA (Izmailov et al. 2018, arXiv 1803.05407): the mean of the weights after each step of the last
share of training, by torch's own arithmetic; it is what is then validated and delivered.

Their statistics of batch normalisation are not gathered anew: no model here has any.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch.optim.swa_utils import get_swa_avg_fn

from agnews_cli.learn.kinds.option import Option, Start
from agnews_cli.learn.state.snapshot import Misfit, Tensors, restore_weights, weights

EXAMPLE = {"swa": 0.5}
_COUNT = "averaged"


def begin(start: Start) -> Option | None:
    share = start.training.swa
    if not share:
        return None
    model, mean_of = start.model, get_swa_avg_fn()
    average: Tensors = {n: t.detach().clone() for n, t in weights(model).items()}
    count = torch.zeros((), dtype=torch.int64)

    def update(step: int, steps: int) -> None:
        if step < (1 - share) * steps:
            return
        current = weights(model)  # without gradients
        for name, tensor in average.items():
            if tensor.is_floating_point() and count:
                tensor.copy_(mean_of(tensor, current[name], int(count)))
            else:
                tensor.copy_(current[name])
        count.add_(1)

    @contextmanager
    def entered() -> Iterator[None]:
        if not count:
            yield
            return
        trained = {n: t.detach().clone() for n, t in weights(model).items()}
        restore_weights(model, average, "swa")
        try:
            yield
        finally:
            restore_weights(model, trained)

    def restore(saved: Tensors) -> None:
        found = {name: tensor for name, tensor in saved.items() if name != _COUNT}
        if _COUNT not in saved or {n: t.shape for n, t in found.items()} != {
            n: t.shape for n, t in average.items()
        }:
            raise Misfit("swa: other weights were averaged")
        for name, tensor in average.items():
            tensor.copy_(found[name])
        count.copy_(saved[_COUNT])

    return Option(
        after_step=update,
        judged=entered,
        delivered=lambda: average if count else None,
        state=lambda: average | {_COUNT: count},
        restore=restore,
    )
