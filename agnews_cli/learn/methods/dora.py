"""DoRA (Liu et al. 2024, arXiv 2402.09353) through PEFT: LoRA, with the length of each row of a
weight trained apart from its direction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn

from agnews_cli.core.run.method import Dora
from agnews_cli.learn.adapters import places, updates, wrapped
from agnews_cli.learn.kinds.method import Procedure

EXAMPLE: dict[str, object] = {"rank": 2, "alpha": 4, "dropout": 0.2}


def apply(model: Any, method: Dora, new: Sequence[str]) -> nn.Module:
    from peft import LoraConfig

    config = LoraConfig(
        r=method.rank,
        lora_alpha=method.alpha,
        lora_dropout=method.dropout,
        use_dora=True,
        target_modules=places.chosen(model, new, method.adapts, method.kind),
    )
    return wrapped.wrap(model, config, new)


PROCEDURE = Procedure(
    apply=apply,
    save=wrapped.save,
    open=wrapped.open_folder,
    merge=wrapped.merge,
    update_rank=updates.effective_rank,
    beside=wrapped.ADAPTER,
)
