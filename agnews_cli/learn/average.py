"""An exponential average of the weights: steadier than the last step's, and what is delivered."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from agnews_cli.learn.snapshot import Tensors, restore_weights, weights


class Average:
    """The running average of a model's weights, on its device."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        self._model, self._decay = model, decay
        self.tensors: Tensors = {n: t.detach().clone() for n, t in weights(model).items()}

    def update(self, step: int) -> None:
        """Move toward the weights after `step` (0-based).

        The decay rises from 0.1 to its value, so that the first weights do not linger; the rule of
        TensorFlow's ExponentialMovingAverage with `num_updates`.
        """
        decay = min(self._decay, (1 + step) / (10 + step))
        current = weights(self._model)
        with torch.no_grad():
            for name, tensor in self.tensors.items():
                if tensor.is_floating_point():
                    tensor.lerp_(current[name].to(tensor.dtype), 1 - decay)
                else:
                    tensor.copy_(current[name])

    def restore(self, saved: Tensors) -> None:
        """Go on from what was saved. Raises Misfit where it does not fit."""
        with self.entered():
            restore_weights(self._model, saved, "average")
            self.tensors = {n: t.detach().clone() for n, t in weights(self._model).items()}

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Within, the model holds the average; after, what it held before."""
        trained = {n: t.detach().clone() for n, t in weights(self._model).items()}
        restore_weights(self._model, self.tensors, "average")
        try:
            yield
        finally:
            restore_weights(self._model, trained)
