"""Full fine-tuning: every weight is trained, and the model is all there is to deliver."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from agnews_cli.core.run.method import Full
from agnews_cli.learn.adapters import whole
from agnews_cli.learn.kinds.method import Procedure

EXAMPLE: dict[str, object] = {}


def apply(model: nn.Module, method: Full, new: Sequence[str]) -> nn.Module:
    return model


PROCEDURE = Procedure(apply=apply, save=whole.save, open=whole.open_folder)
