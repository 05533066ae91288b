"""An exponential average of the weights: steadier than the last step's, and what is delivered.

The decay rises from 0.1 to its value, so that the first weights do not linger: the rule of
TensorFlow's ExponentialMovingAverage with `num_updates`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from agnews_cli.learn.kinds.option import Option, Start
from agnews_cli.learn.state.snapshot import Tensors, restore_weights, weights

EXAMPLE = {"ema": 0.9}


def begin(start: Start) -> Option | None:
    if not start.training.ema:
        return None
    model, most = start.model, start.training.ema
    average: Tensors = {n: t.detach().clone() for n, t in weights(model).items()}

    def update(step: int, steps: int) -> None:
        decay = min(most, (1 + step) / (10 + step))
        current = weights(model)
        with torch.no_grad():
            for name, tensor in average.items():
                if tensor.is_floating_point():
                    tensor.lerp_(current[name].to(tensor.dtype), 1 - decay)
                else:
                    tensor.copy_(current[name])

    @contextmanager
    def entered() -> Iterator[None]:
        trained = {n: t.detach().clone() for n, t in weights(model).items()}
        restore_weights(model, average, "ema")
        try:
            yield
        finally:
            restore_weights(model, trained)

    def restore(saved: Tensors) -> None:
        with entered():
            restore_weights(model, saved, "ema")  # checks names and shapes
            average.update({n: t.detach().clone() for n, t in weights(model).items()})

    return Option(
        after_step=update,
        judged=entered,
        delivered=lambda: average,
        state=lambda: average,
        restore=restore,
    )
