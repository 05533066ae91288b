"""BitFit (Ben-Zaken et al. 2022, arXiv 2106.10199): biases alone are trained, of norms too, and the
head. What is delivered is the whole model, for a bias needs no place of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn

from agnews_cli.core.run.method import Bitfit
from agnews_cli.errors import MethodUnsuited
from agnews_cli.learn.adapters import places, whole
from agnews_cli.learn.kinds.method import Procedure

EXAMPLE: dict[str, object] = {}


def apply(model: Any, method: Bitfit, new: Sequence[str]) -> nn.Module:
    found = list(places.biases(model, new))
    if not found:
        reason = "it has no biases"
        raise MethodUnsuited(model=model.config.model_type, method=method.kind, reason=reason)
    places.train_only_new(model, new)
    for bias in found:
        bias.requires_grad_()
    return model  # type: ignore[no-any-return]


PROCEDURE = Procedure(apply=apply, save=whole.save, open=whole.open_folder)
