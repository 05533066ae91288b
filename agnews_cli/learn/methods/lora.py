"""LoRA (Hu et al. 2021, arXiv 2106.09685) through PEFT: small updates and the head are trained."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import nn

from agnews_cli.core.run.preset import Lora

ADAPTER = "adapter"
"""Where the adapter lies, below the merged model."""
_HEADS = {"classifier", "score"}  # PEFT saves these by itself


def apply(model: Any, method: Lora, new: Sequence[str]) -> nn.Module:
    """The model wrapped in PEFT; PEFT finds the classification head and trains and saves it.

    So must the rest of what is `new` be (a pooler, in DeBERTa): the base model has no such weights.
    """
    from peft import LoraConfig, TaskType, get_peft_model

    beside = [name for name in new if not _HEADS & set(name.split("."))]
    config = LoraConfig(
        task_type=TaskType.SEQ_CLS,
        r=method.rank,
        lora_alpha=method.alpha,
        lora_dropout=method.dropout,
        target_modules=list(method.targets) or "all-linear",
        modules_to_save=beside or None,
    )
    return get_peft_model(model, config)  # type: ignore[no-any-return]


def merge(model: Any) -> None:
    """The updates are added to the frozen weights, in their precision; the head stays trainable."""
    model.merge_adapter()


def save(model: Any, folder: Path, base: str) -> nn.Module:
    """The adapter with its head; then the model without PEFT, the updates inside its weights."""
    for config in model.peft_config.values():
        config.base_model_name_or_path = base
    # "auto" would ask the hub for the base model's vocabulary, which never grows here.
    model.save_pretrained(folder / ADAPTER, save_embedding_layers=False)
    (folder / ADAPTER / "README.md").unlink(missing_ok=True)  # PEFT's; the card is above
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="All adapters are already merged")
        return model.merge_and_unload()  # type: ignore[no-any-return]
