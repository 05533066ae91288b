"""The best weights so far, on disk: blob first, manifest last, verified when read back."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from safetensors.torch import load, save
from torch import nn

from agnews_cli.store.runs import write_text_atomically


class BestWeights:
    """Keeps one set of trained weights: the newest saved. What is not trained is not saved."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._manifest = folder / "best.json"

    def save(self, model: nn.Module, facts: dict[str, Any]) -> None:
        """Write the trained weights and buffers under a new name, then point the manifest at it."""
        self._folder.mkdir(parents=True, exist_ok=True)
        data = save({n: p.detach().cpu().contiguous() for n, p in _trained(model).items()})
        digest = hashlib.sha256(data).hexdigest()
        blob = self._folder / f"{digest[:16]}.safetensors"
        with blob.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        manifest = {"blob": blob.name, "sha256": digest, "bytes": len(data), **facts}
        write_text_atomically(self._manifest, json.dumps(manifest))
        for old in self._folder.glob("*.safetensors"):
            if old != blob:
                old.unlink()

    def restore(self, model: nn.Module) -> dict[str, Any] | None:
        """Load the kept weights into `model`; None, and nothing changed, when there are none."""
        if not self._manifest.exists():
            return None
        facts: dict[str, Any] = json.loads(self._manifest.read_text("utf-8"))
        data = (self._folder / facts["blob"]).read_bytes()
        if hashlib.sha256(data).hexdigest() != facts["sha256"]:
            return None
        current = _trained(model)
        for name, tensor in load(data).items():
            current[name].data.copy_(tensor)
        return facts


def _trained(model: nn.Module) -> dict[str, Any]:
    return {n: p for n, p in model.named_parameters() if p.requires_grad}
