"""What a method that cannot be merged leaves: `method.json` says what was trained of which base
model; beside it lies PEFT's adapter, or `adapter.safetensors`: what was trained, by its name.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter
from safetensors.torch import load_file, save_file
from torch import nn

from agnews_cli.core.run.method import Method
from agnews_cli.errors import ModelDamaged
from agnews_cli.learn.adapters import base as bases
from agnews_cli.store.model.delivered import METHOD

ADAPTER = "adapter.safetensors"
_SCHEMA = "agnews.method/1"


@dataclass(frozen=True, slots=True)
class Adapted:
    """Kept with a model while it is trained: all that its files will say."""

    method: Any
    trained: Sequence[str]
    """Names of all parameters that a file must have: others can be had from the base model."""
    virtual: dict[str, Any] | None = None
    """Of virtual tokens: where they are, for whoever opens the files without us."""


def remember(model: nn.Module, method: Any, virtual: dict[str, Any] | None = None) -> None:
    """Call when all is added to the model, and what is trained is set."""
    names = [name for name, weight in model.named_parameters() if weight.requires_grad]
    model.agnews = Adapted(method, names, virtual)  # type: ignore[assignment]


def save(model: Any, folder: Path, base: str) -> None:
    """What was trained; a parameter that a merge has replaced is passed over."""
    known: Adapted = model.agnews
    there = dict(model.named_parameters()) | dict(model.named_buffers())
    extra = [name for name in there if name.startswith("virtual.")]
    kept = {name: there[name] for name in dict.fromkeys([*known.trained, *extra]) if name in there}
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {name: one.detach().cpu().contiguous().clone() for name, one in kept.items()}
    save_file(tensors, folder / ADAPTER)
    write(folder, known, base, model)


def write(folder: Path, known: Adapted, base: str, loaded: Any) -> None:
    """`method.json`. `loaded`: the model as it came from its base."""
    facts = {
        "schema": _SCHEMA,
        "method": known.method.model_dump(mode="json"),
        "base": base,
        "base_sha256": bases.digest(loaded),
    }
    facts |= {} if known.virtual is None else {"virtual": known.virtual}
    (folder / METHOD).write_text(json.dumps(facts, indent=2, ensure_ascii=False), "utf-8")


def method_of(folder: Path) -> Any:
    """What `method.json` says was done; None where there is none."""
    path = folder / METHOD
    if not path.is_file():
        return None
    facts = json.loads(path.read_text("utf-8"))
    return TypeAdapter(Method).validate_python(facts["method"])


def require_base(folder: Path, model: Any) -> None:
    """Raises ModelDamaged where `model` was loaded from other weights than those trained on."""
    facts = json.loads((folder / METHOD).read_text("utf-8"))
    found, wanted = bases.digest(model), facts["base_sha256"]
    if found and wanted and found != wanted:
        reason = (
            f"its weights are not those of {facts['base']} that {folder} was trained on "
            f"(SHA-256 {found[:12]}… instead of {wanted[:12]}…)"
        )
        raise ModelDamaged(path=model.config.name_or_path, reason=reason)


def open_own(
    folder: Path,
    base: str | None,
    options: dict[str, Any],
    attach: Callable[[Any, Any], object],
) -> nn.Module:
    """The base model with what `save` wrote. `attach`: (model, method) adds what the method has."""
    model = bases.classifier(folder, base, options)
    require_base(folder, model)
    attach(model, method_of(folder))
    found = model.load_state_dict(load_file(folder / ADAPTER), strict=False)
    if found.unexpected_keys:
        reason = f"the model has no {found.unexpected_keys[0]}"
        raise ModelDamaged(path=folder / ADAPTER, reason=reason)
    return model  # type: ignore[no-any-return]
