"""Prompt tuning (Lester et al. 2021, arXiv 2104.08691): embeddings of virtual tokens are trained,
which begin as those of words drawn from the vocabulary."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from agnews_cli.core.run.method import Prompt
from agnews_cli.learn.adapters import files, places, virtual
from agnews_cli.learn.adapters.vectors import Vectors
from agnews_cli.learn.kinds.method import Procedure

EXAMPLE: dict[str, object] = {"tokens": 4}


def apply(model: Any, method: Prompt, new: Sequence[str]) -> nn.Module:
    places.train_only_new(model, new)
    words = model.get_input_embeddings()
    drawn = torch.randint(words.num_embeddings, (method.tokens,)).to(words.weight.device)
    with torch.no_grad():
        begin = words(drawn)
    virtual.attach(model, Vectors(begin), method.tokens)
    virtual.at_words(model, method.tokens)
    files.remember(model, method, virtual.facts_of(model))
    return model  # type: ignore[no-any-return]


def open_folder(folder: Path, base: str | None, options: dict[str, Any]) -> nn.Module:
    return files.open_own(folder, base, options, virtual.prompts)


PROCEDURE = Procedure(apply=apply, save=files.save, open=open_folder)
