"""Methods that PEFT has: a classifier wrapped, merged, written and opened again."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import nn

from agnews_cli.learn.adapters.base import classifier

ADAPTER = "adapter"
_HEADS = {"classifier", "score"}  # PEFT saves these by itself


def wrap(model: Any, config: Any, new: Sequence[str]) -> nn.Module:
    """`config`: PEFT's, without the task; what is `new` is trained and saved with it: the base
    model has no such weights (a pooler, in DeBERTa). The head PEFT finds by itself.
    """
    from peft import TaskType, get_peft_model

    config.task_type = TaskType.SEQ_CLS
    beside = [name for name in new if not _HEADS & set(name.split("."))]
    config.modules_to_save = beside or None
    return get_peft_model(model, config)  # type: ignore[no-any-return]


def merge(model: Any) -> None:
    """The updates are added to the frozen weights, in their precision; the head stays trainable."""
    model.merge_adapter()


def save_adapter(model: Any, folder: Path, base: str) -> None:
    """The adapter with its head."""
    for config in model.peft_config.values():
        config.base_model_name_or_path = base
    # "auto" would ask the hub for the base model's vocabulary, which never grows here.
    model.save_pretrained(folder, save_embedding_layers=False)
    (folder / "README.md").unlink(missing_ok=True)  # PEFT's; the card is another


def save(model: Any, folder: Path, base: str) -> None:
    """The adapter with its head; and the model without PEFT, the updates inside its weights."""
    save_adapter(model, folder / ADAPTER, base)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*lready merged")
        merge(model)
    _unwrapped(model).save_pretrained(folder)


def _unwrapped(model: Any) -> Any:
    """The classifier with what was merged and trained in its places. PEFT's own `merge_and_unload`
    fails with (IA)³ and VeRA where a head is more than a layer (0.21)."""
    from peft.tuners.tuners_utils import BaseTunerLayer
    from peft.utils import ModulesToSaveWrapper

    whole = model.get_base_model()
    for name, module in list(whole.named_modules()):
        if isinstance(module, ModulesToSaveWrapper):
            (trained,) = module.modules_to_save.values()
            whole.set_submodule(name, trained)
        elif isinstance(module, BaseTunerLayer):
            whole.set_submodule(name, module.get_base_layer())
    return whole


def open_folder(folder: Path, base: str | None, options: dict[str, Any]) -> nn.Module:
    """The adapter on the unchanged base model. `labels.json`, there or above, names its classes."""
    from peft import PeftModel

    return PeftModel.from_pretrained(classifier(folder, base, options), folder)
