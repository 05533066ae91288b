"""VeRA (Kopiczko et al. 2024, arXiv 2310.11454) through PEFT: updates by two random matrices that
all layers share, whose scales are trained. The matrices are saved with them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn

from agnews_cli.core.run.method import Vera
from agnews_cli.learn.adapters import places, wrapped
from agnews_cli.learn.kinds.method import Procedure

EXAMPLE: dict[str, object] = {"rank": 8}


def apply(model: Any, method: Vera, new: Sequence[str]) -> nn.Module:
    from peft import VeraConfig

    config = VeraConfig(
        r=method.rank,
        vera_dropout=method.dropout,
        target_modules=places.chosen(model, new, method.adapts, method.kind),
    )
    return wrapped.wrap(model, config, new)


PROCEDURE = Procedure(
    apply=apply,
    save=wrapped.save,
    open=wrapped.open_folder,
    merge=wrapped.merge,
    beside=wrapped.ADAPTER,
)
