"""Fine-tuning methods, one module each (`learn.kinds.method`), named by `method.kind`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from torch import nn

from agnews_cli.core.run.method import Method
from agnews_cli.learn.adapters import files
from agnews_cli.learn.kinds.method import Procedure
from agnews_cli.learn.kinds.registry import modules
from agnews_cli.store.model.delivered import METHOD

_PLAIN = {"adapter_config.json": "lora", "config.json": "full"}
"""What others write too, and who reads that here; the second may lie beside the first."""


def of(method: Method) -> Procedure:
    """What the method does."""
    return _of(method.kind)


def open_folder(folder: Path, base: str | None = None, **options: Any) -> nn.Module:
    """The model that lies in a folder, ready to predict, whichever method wrote it.

    `base`: where the model lies that an adapter needs; `options`: of `from_pretrained`.
    """
    method = files.method_of(folder)
    if method is not None:
        return of(method).open(folder, base, options).eval()
    for name, kind in _PLAIN.items():
        if (folder / name).is_file():
            return _of(kind).open(folder, base, options).eval()
    raise FileNotFoundError(f"there is no {' or '.join((METHOD, *_PLAIN))} in it")


def _of(kind: str) -> Procedure:
    found: Procedure = modules(sys.modules[__name__])[kind].PROCEDURE
    return found
