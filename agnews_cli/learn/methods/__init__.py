"""Fine-tuning methods, one module each (`learn.kinds.method`), named by `method.kind`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from torch import nn

from agnews_cli.core.run.method import Method
from agnews_cli.learn.kinds.method import Procedure
from agnews_cli.learn.kinds.registry import modules

_PLAIN = "config.json"


def of(method: Method) -> Procedure:
    """What the method does."""
    found: Procedure = modules(sys.modules[__name__])[method.kind].PROCEDURE
    return found


def open_folder(folder: Path, base: str | None = None, **options: Any) -> nn.Module:
    """The model that lies in a folder, ready to predict, whichever method wrote it.

    `base`: where the model lies that an adapter needs; `options`: of `from_pretrained`.
    """
    each: list[Procedure] = [one.PROCEDURE for one in modules(sys.modules[__name__]).values()]
    each.sort(key=lambda one: one.marker == _PLAIN)  # it may lie beside an adapter, too
    there = [one for one in each if (folder / one.marker).is_file()]
    if not there:
        names = " or ".join(sorted({one.marker for one in each}))
        raise FileNotFoundError(f"there is no {names} in it")
    return there[0].open(folder, base, options).eval()
