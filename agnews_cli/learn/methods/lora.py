"""LoRA (Hu et al. 2021, arXiv 2106.09685) through PEFT: small updates and the head are trained."""

from __future__ import annotations

from typing import Any

from torch import nn

from agnews_cli.core.preset import Method


def lora(model: Any, method: Method) -> nn.Module:
    """The model wrapped in PEFT; PEFT finds the classification head and trains and saves it."""
    from peft import LoraConfig, TaskType, get_peft_model

    config = LoraConfig(
        task_type=TaskType.SEQ_CLS,
        r=method.rank,
        lora_alpha=method.alpha,
        lora_dropout=method.dropout,
        target_modules=list(method.targets) or "all-linear",
    )
    return get_peft_model(model, config)  # type: ignore[no-any-return]
