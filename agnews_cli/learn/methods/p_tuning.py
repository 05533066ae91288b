"""P-tuning (Liu et al. 2021, arXiv 2103.10385): as prompt tuning, and a small network makes the
embeddings while they are trained. What is delivered are the embeddings alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from agnews_cli.core.run.method import PTuning
from agnews_cli.learn.adapters import files, places, virtual
from agnews_cli.learn.adapters.vectors import Made, Vectors
from agnews_cli.learn.kinds.method import Procedure

EXAMPLE: dict[str, object] = {"tokens": 4, "width": 8}


def apply(model: Any, method: PTuning, new: Sequence[str]) -> nn.Module:
    places.train_only_new(model, new)
    words = model.get_input_embeddings().weight
    begin = torch.randn(method.tokens, words.shape[1]).to(words.device)
    virtual.attach(model, Made(begin, method.width), method.tokens)
    virtual.at_words(model, method.tokens)
    files.remember(model, method, virtual.facts_of(model))
    return model  # type: ignore[no-any-return]


def merge(model: Any) -> None:
    """The network is done with when it has made its embeddings."""
    if isinstance(model.virtual, Made):
        model.virtual = Vectors(model.virtual())


def open_folder(folder: Path, base: str | None, options: dict[str, Any]) -> nn.Module:
    return files.open_own(folder, base, options, virtual.prompts)


def save(model: Any, folder: Path, base: str) -> None:
    merge(model)
    files.save(model, folder, base)


PROCEDURE = Procedure(apply=apply, save=save, open=open_folder, merge=merge)
