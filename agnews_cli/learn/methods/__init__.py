"""What of a model is trained: one module for each method, all with the same functions.

`apply` takes the loaded classifier and returns the module to train; `merge` makes that module
predict with the weights that will be delivered; `save` writes what the method alone has and returns
the plain model. The loop never asks which method it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import nn

from agnews_cli.core.run.preset import Method
from agnews_cli.learn.methods import full, lora

_METHODS: dict[str, Any] = {"full": full, "lora": lora}


def apply(model: nn.Module, method: Method, *, new: Sequence[str] = ()) -> nn.Module:
    """The module to train, with `requires_grad` set on what the method trains.

    `new`: names of modules that the pretrained weights do not have; trained whole, whatever the
    method, for whoever loads the base model draws others.
    """
    return _METHODS[method.kind].apply(model, method, new)  # type: ignore[no-any-return]


def merge(model: nn.Module, method: Method) -> None:
    """From now on `model` computes with the weights that `save` returns."""
    _METHODS[method.kind].merge(model)


def save(model: nn.Module, method: Method, folder: Path, *, base: str) -> nn.Module:
    """The plain classifier, merged; what else the method has goes below `folder`.

    `base`: the pretrained model's hub id, or the name of its folder. `model` is spent.
    """
    return _METHODS[method.kind].save(model, folder, base)  # type: ignore[no-any-return]
