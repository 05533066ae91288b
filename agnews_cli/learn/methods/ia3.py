"""(IA)³ (Liu et al. 2022, arXiv 2205.05638) through PEFT: keys, values and the input of each
feed-forward's last layer are scaled. A layer that makes queries, too, is scaled whole."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn

from agnews_cli.core.run import anatomy
from agnews_cli.core.run.method import Ia3
from agnews_cli.learn.adapters import places, wrapped
from agnews_cli.learn.kinds.method import Procedure

EXAMPLE: dict[str, object] = {}


def apply(model: Any, method: Ia3, new: Sequence[str]) -> nn.Module:
    from peft import IA3Config

    forward = places.chosen(model, new, anatomy.is_forward_out, method.kind)
    inside = [name for name in places.linear(model, new) if anatomy.is_key_or_value(name)]
    config = IA3Config(target_modules=[*inside, *forward], feedforward_modules=forward)
    return wrapped.wrap(model, config, new)


PROCEDURE = Procedure(
    apply=apply,
    save=wrapped.save,
    open=wrapped.open_folder,
    merge=wrapped.merge,
    beside=wrapped.ADAPTER,
)
