"""Prefix tuning (Li and Liang 2021, arXiv 2101.00190): states of virtual tokens are trained in
every layer, which makes its keys and values of them as of any other state."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from agnews_cli.core.run.anatomy import blocks
from agnews_cli.core.run.method import Prefix
from agnews_cli.learn.adapters import files, places, virtual
from agnews_cli.learn.adapters.vectors import Vectors
from agnews_cli.learn.kinds.method import Procedure

EXAMPLE: dict[str, object] = {"tokens": 4}


def apply(model: Any, method: Prefix, new: Sequence[str]) -> nn.Module:
    places.train_only_new(model, new)
    names = _attach(new, model, method)
    nn.init.normal_(model.virtual.tokens, std=0.02)
    files.remember(model, method, virtual.facts_of(model, names))
    return model  # type: ignore[no-any-return]


def _attach(new: Sequence[str], model: Any, method: Prefix) -> list[str]:
    hidden = model.config.get_text_config().hidden_size
    count = len(blocks(list(places.linear(model, new))))
    begin = torch.zeros(count, method.tokens, hidden, device=model.device)
    virtual.attach(model, Vectors(begin), method.tokens)
    return virtual.at_blocks(model, method.tokens, new)


def open_folder(folder: Path, base: str | None, options: dict[str, Any]) -> nn.Module:
    return files.open_own(folder, base, options, lambda *given: _attach((), *given))


PROCEDURE = Procedure(apply=apply, save=files.save, open=open_folder)
