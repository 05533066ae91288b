"""Houlsby's adapters (Houlsby et al. 2019, arXiv 1902.00751): a bottleneck after each attention and
each feed-forward, before what they make is added to what they were given; SiLU inside."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from torch import nn

from agnews_cli.core.run import anatomy
from agnews_cli.core.run.method import Houlsby
from agnews_cli.learn.adapters import bottleneck, files, places
from agnews_cli.learn.kinds.method import Procedure

EXAMPLE: dict[str, object] = {"reduction": 4}


def apply(model: Any, method: Houlsby, new: Sequence[str]) -> nn.Module:
    for part in (anatomy.is_attention_out, anatomy.is_forward_out):
        places.chosen(model, new, part, method.kind)
    places.train_only_new(model, new)
    _attach(new, model, method)
    files.remember(model, method)
    return model  # type: ignore[no-any-return]


def _attach(new: Sequence[str], model: Any, method: Houlsby) -> None:
    for name in places.chosen(model, new, method.adapts, method.kind):
        layer = model.get_submodule(name)
        hidden = layer.out_features
        facts = (hidden, method.width(hidden), nn.SiLU())
        bottleneck.attach(layer, bottleneck.after_layer, *facts)


def open_folder(folder: Path, base: str | None, options: dict[str, Any]) -> nn.Module:
    return files.open_own(folder, base, options, partial(_attach, ()))


PROCEDURE = Procedure(apply=apply, save=files.save, open=open_folder)
