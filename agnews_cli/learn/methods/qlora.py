"""QLoRA (Dettmers et al. 2023, arXiv 2305.14314): LoRA on a base model whose linear layers are
quantised to 4 bits (NF4, double quantisation) by bitsandbytes, on a GPU or a CPU. The head is kept
out of that. What is delivered is the adapter, for merging would lose what 4 bits cannot say."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from agnews_cli.core.run.method import Qlora
from agnews_cli.learn.adapters import base as bases
from agnews_cli.learn.adapters import files, places, updates, wrapped
from agnews_cli.learn.kinds.method import Procedure

EXAMPLE: dict[str, object] = {"rank": 2, "alpha": 4, "dropout": 0.2}


def load_options(method: Qlora) -> dict[str, Any]:
    from transformers import BitsAndBytesConfig

    config = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.float32,  # autocast takes the training's own
        llm_int8_skip_modules=list(method.kept_out),
    )
    return {"quantization_config": config}


def _settle(model: nn.Module) -> None:
    """On CPUs with BF16 bitsandbytes would pack weights anew, with less precise scales, as soon as
    it is asked without gradients, and train with these after a validation: nothing of that is in a
    checkpoint."""
    from bitsandbytes.nn.modules import Linear4bit

    for module in model.modules():
        if isinstance(module, Linear4bit):
            module.support_avx512bf16_for_cpu = False


def apply(model: Any, method: Qlora, new: Sequence[str]) -> nn.Module:
    from peft import LoraConfig

    _settle(model)
    config = LoraConfig(
        r=method.rank,
        lora_alpha=method.alpha,
        lora_dropout=method.dropout,
        target_modules=places.chosen(model, new, method.adapts, method.kind),
    )
    found: Any = wrapped.wrap(model, config, new)
    files.remember(found, method)
    return found  # type: ignore[no-any-return]


def save(model: Any, folder: Path, base: str) -> None:
    wrapped.save_adapter(model, folder, base)
    files.write(folder, model.agnews, base, model.get_base_model())


def open_folder(folder: Path, base: str | None, options: dict[str, Any]) -> nn.Module:
    from peft import PeftModel

    asked = load_options(files.method_of(folder))
    model = bases.classifier(folder, base, options | asked)
    files.require_base(folder, model)
    _settle(model)
    return PeftModel.from_pretrained(model, folder)


PROCEDURE = Procedure(
    apply=apply,
    save=save,
    open=open_folder,
    load_options=load_options,
    update_rank=updates.effective_rank,
)
