"""A classifier and its tokenizer, loaded from a folder or the hub, with the class names inside."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PreTrainedConfig,
)
from transformers.models.auto.tokenization_auto import get_tokenizer_config
from transformers.utils import logging as hf_logging

from agnews_cli.core.run.preset import Preset
from agnews_cli.errors import ModelBringsCode
from agnews_cli.learn import methods, networks
from agnews_cli.learn.adapters import padding, places
from agnews_cli.learn.door.xla import is_xla
from agnews_cli.learn.models import dropout, layers
from agnews_cli.learn.models.head import last_layer
from agnews_cli.store.model.models import asks_for_code, base_name, refuse_code

hf_logging.set_verbosity_error()
hf_logging.disable_progress_bar()


def load_tokenizer(path: str, revision: str | None = None) -> Any:
    """The model's tokenizer; a decoder without a padding token pads with its end token."""
    _refuse_code(path, revision)
    tokenizer = AutoTokenizer.from_pretrained(path, revision=revision, trust_remote_code=False)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def load_config(path: str, revision: str | None = None) -> Any:
    """The model's own configuration."""
    _refuse_code(path, revision)
    return AutoConfig.from_pretrained(path, revision=revision, trust_remote_code=False)


def load_encoder(path: str) -> Any:
    """The pretrained model without a head, fp32."""
    _refuse_code(path)
    return AutoModel.from_pretrained(path, dtype=torch.float32, trust_remote_code=False)


def _refuse_code(path: str, revision: str | None = None) -> None:
    """Raises ModelBringsCode before anything of the model is loaded, from a folder or the hub.

    Without it transformers would ask on a terminal whether to run that code.
    """
    if Path(path).is_dir():
        refuse_code(Path(path))
        return
    settings = (
        PreTrainedConfig.get_config_dict(path, revision=revision)[0],
        get_tokenizer_config(path, revision=revision),
    )
    if any(map(asks_for_code, settings)):
        raise ModelBringsCode(path=path)


def mask_id_of(tokenizer: Any) -> int:
    """What hides a token: the mask token, else the unknown one, else padding."""
    found = (tokenizer.mask_token_id, tokenizer.unk_token_id, tokenizer.pad_token_id)
    return next(int(number) for number in found if number is not None)


def load_classifier(
    path: str, preset: Preset, labels: Sequence[str], *, pad_id: int, seed: int, on_cpu: bool
) -> nn.Module:
    """The model to train, its new head drawn from `seed`, dropout made fast on the CPU.

    fp32, unless its method loads it otherwise.
    """
    _refuse_code(path, preset.model.revision)
    torch.manual_seed(seed)
    options: dict[str, Any] = {"attn_implementation": dropout.register()} if on_cpu else {}
    procedure = methods.of(preset.method)
    asked = {"dtype": torch.float32} | procedure.load_options(preset.method)
    names = dict(enumerate(labels))

    def load(**extra: Any) -> tuple[Any, dict[str, Any]]:
        found: tuple[Any, dict[str, Any]] = AutoModelForSequenceClassification.from_pretrained(
            path,
            revision=preset.model.revision,
            num_labels=len(labels),
            id2label=names,
            label2id={label: number for number, label in names.items()},
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # the head of a classifier of other classes is drawn anew
            trust_remote_code=False,
            **asked,
            **extra,
        )
        return found

    try:
        model, loaded = load(**options)
    except (ValueError, KeyError):  # an architecture outside transformers' attention registry
        torch.manual_seed(seed)
        model, loaded = load()
    if on_cpu and not getattr(model, "_supports_attention_backend", False):
        # Such a model (MPNet) takes the name, computes by itself, and would misread our mask.
        model.config._attn_implementation = "eager"
    model.config.pad_token_id = pad_id
    if preset.training.gradient_checkpointing:
        model.gradient_checkpointing_enable()
    # The head counts as new also where the base was a classifier: its classes were others.
    inside = f"{model.base_model_prefix}."
    head = [name for name, _ in model.named_parameters() if not name.startswith(inside)]
    new = sorted({name.rpartition(".")[0] for name in [*loaded["missing_keys"], *head]} - {""})
    if preset.network is None:
        places.freeze_unread(model)
        padding.settle(model)
        trained = procedure.apply(model, preset.method, new)
    else:
        trained = networks.build(preset.network, model, labels, pad_id=pad_id, seed=seed)
    layers.freeze(trained, preset.training.frozen_layers, base_name(preset.model))
    if on_cpu:
        dropout.replace_dropout(trained)
    return trained


def scale_head(model: nn.Module, temperature: float, *, classes: int) -> bool:
    """Divide the logits by `temperature` by dividing the head's weights; whether it was done.

    Whoever loads the files gets calibrated probabilities and the same predictions (Guo et al.
    2017). Nothing is done where the head is not a last linear layer.
    """
    layer = last_layer(model)
    if abs(temperature - 1) < 0.005 or layer is None or layer.out_features != classes:
        return False
    with torch.no_grad():
        for weight in layer.parameters():
            weight.div_(temperature)
    return True


def save_delivery(
    model: Any, tokenizer: Any, preset: Preset, folder: Path, labels: Sequence[str]
) -> None:
    """Hugging Face files that load with no code of ours.

    The tokenizer cuts where training did. No path of this machine is in the files. What a method
    has besides (an adapter) lies below `folder`. `model` is spent.
    """
    if is_xla(next(model.parameters()).device):
        model.to("cpu")  # safetensors reads nothing that XLA holds
    methods.of(preset.method).save(model, folder, base_name(preset.model))
    save_tokenizer(tokenizer, preset.training.max_length, folder)
    names = json.dumps(list(labels), ensure_ascii=False)
    (folder / "labels.json").write_text(names, "utf-8")


def save_tokenizer(tokenizer: Any, max_length: int, folder: Path) -> None:
    """The tokenizer as it was used, so that it cuts at `max_length`; no path is in its files."""
    tokenizer.model_max_length = max_length
    tokenizer.save_pretrained(folder)
    path = folder / "tokenizer_config.json"
    facts = json.loads(path.read_text("utf-8"))
    for name in ("name_or_path", "tokenizer_file", "vocab_file", "special_tokens_map_file"):
        facts.pop(name, None)
    path.write_text(json.dumps(facts, indent=2, ensure_ascii=False), "utf-8")


def load_delivery(folder: Path, base: str | None) -> tuple[Any, Any]:
    """(model for evaluation, tokenizer) of a delivered folder; `base`: the adapter's model."""
    tokenizer = load_tokenizer(str(folder))
    if base is not None:
        _refuse_code(base)
    is_network = networks.is_one(folder)
    model: Any = networks.open_folder(folder) if is_network else methods.open_folder(folder, base)
    model.config.pad_token_id = tokenizer.pad_token_id
    return model, tokenizer
