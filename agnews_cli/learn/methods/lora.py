"""LoRA (Hu et al. 2021, arXiv 2106.09685) through PEFT: small updates and the head are trained."""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import AutoModelForSequenceClassification

from agnews_cli.core.run.method import Lora
from agnews_cli.learn.kinds.method import Procedure

EXAMPLE: dict[str, object] = {"rank": 2, "alpha": 4, "dropout": 0.2}
_ADAPTER = "adapter"
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


def save(model: Any, folder: Path, base: str) -> None:
    """The adapter with its head; and the model without PEFT, the updates inside its weights."""
    for config in model.peft_config.values():
        config.base_model_name_or_path = base
    # "auto" would ask the hub for the base model's vocabulary, which never grows here.
    model.save_pretrained(folder / _ADAPTER, save_embedding_layers=False)
    (folder / _ADAPTER / "README.md").unlink(missing_ok=True)  # PEFT's; the card is above
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="All adapters are already merged")
        model.merge_and_unload().save_pretrained(folder)


def open_folder(folder: Path, base: str | None, options: dict[str, Any]) -> nn.Module:
    """The adapter on the unchanged base model. `labels.json`, there or above, names its classes."""
    from peft import PeftModel

    assert base is not None, f"the adapter in {folder} needs its base model"
    places = (folder / "labels.json", folder.parent / "labels.json")
    labels = next((path for path in places if path.is_file()), places[0])
    names = json.loads(labels.read_text("utf-8"))
    model = AutoModelForSequenceClassification.from_pretrained(
        base,
        num_labels=len(names),
        dtype=torch.float32,
        id2label=dict(enumerate(names)),
        trust_remote_code=False,
        **options,
    )
    return PeftModel.from_pretrained(model, folder)


PROCEDURE = Procedure(
    apply=apply,
    save=save,
    marker="adapter_config.json",
    open=open_folder,
    merge=merge,
    beside=_ADAPTER,
)
