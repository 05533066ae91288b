"""Pfeiffer's adapters (Pfeiffer et al. 2021, arXiv 2005.00247): a bottleneck after each
feed-forward, which reads the norm's output and is added before it; ReLU inside. Where a model's
norms come before its parts it reads what the block returns, and is added to that."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from torch import nn

from agnews_cli.core.run import anatomy
from agnews_cli.core.run.method import Pfeiffer
from agnews_cli.learn.adapters import bottleneck, files, places
from agnews_cli.learn.kinds.method import Procedure

EXAMPLE: dict[str, object] = {"reduction": 4}


def apply(model: Any, method: Pfeiffer, new: Sequence[str]) -> nn.Module:
    places.train_only_new(model, new)
    _attach(new, model, method)
    files.remember(model, method)
    return model  # type: ignore[no-any-return]


def _attach(new: Sequence[str], model: Any, method: Pfeiffer) -> None:
    for name in places.chosen(model, new, anatomy.is_forward_out, method.kind):
        hidden = model.get_submodule(name).out_features
        facts = (hidden, method.width(hidden), nn.ReLU())
        norm, block = anatomy.norm_after(name), anatomy.block_of(name)
        if norm is not None:
            bottleneck.attach(model.get_submodule(norm), bottleneck.in_norm, *facts)
        elif block is not None:
            bottleneck.attach(model.get_submodule(block), bottleneck.after_block, *facts)


def open_folder(folder: Path, base: str | None, options: dict[str, Any]) -> nn.Module:
    return files.open_own(folder, base, options, partial(_attach, ()))


PROCEDURE = Procedure(apply=apply, save=files.save, open=open_folder)
