"""What a fine-tuning method does to a model at each place: before it is loaded, when it is trained,
validated, written and opened again.

A method is a module of `learn.methods`, named like its kind in `core.run.method`, with

- `EXAMPLE`: its fields, small, for the suite that tests every method;
- `PROCEDURE`: the record below.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn


def _usual(method: Any) -> dict[str, Any]:
    return {}


def _nothing_to_merge(model: Any) -> None: ...


def _no_updates(model: Any) -> float | None:
    return None


@dataclass(frozen=True, slots=True)
class Procedure:
    """The loop and the stages call these and never ask which method it is."""

    apply: Callable[[Any, Any, Sequence[str]], nn.Module]
    """(the loaded classifier, the method, names of modules that the pretrained weights do not
    have): the module to train, with `requires_grad` set on what is trained. New modules are trained
    whole, whatever the method, for whoever loads the base model draws others."""
    save: Callable[[Any, Path, str], None]
    """(the trained module, a folder, the base model's hub id or the name of its folder): write all
    that predicts. The module is spent."""
    open: Callable[[Path, str | None, dict[str, Any]], nn.Module]
    """(a folder that was written, where the base model lies, further options of `from_pretrained`):
    the model that predicts as the trained one did. The base is None where the folder is whole."""
    load_options: Callable[[Any], dict[str, Any]] = _usual
    """Of the method: what `from_pretrained` is told when the base model is loaded to be trained,
    such as how it is quantised, what is left out of that, and the type of its weights."""
    merge: Callable[[Any], None] = _nothing_to_merge
    """From now on the module computes with the weights that will be delivered."""
    update_rank: Callable[[Any], float | None] = _no_updates
    """(the module that is trained): how many directions its updates use, the mean over its layers;
    None of a method whose updates have no rank, and before the first step."""
    beside: str | None = None
    """Below the folder of a whole model, where what the method alone has lies too."""
