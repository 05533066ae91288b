"""What of a model is trained: one function for each method, all with the same shape.

A method takes the loaded classifier and returns the module to train; the loop never asks which
method it is.
"""

from __future__ import annotations

from torch import nn

from agnews_cli.core.preset import Method
from agnews_cli.learn.methods.full import full
from agnews_cli.learn.methods.lora import lora

_METHODS = {"full": full, "lora": lora}


def apply(model: nn.Module, method: Method) -> nn.Module:
    """The module to train, with `requires_grad` set on what the method trains."""
    return _METHODS[method.kind](model, method)
