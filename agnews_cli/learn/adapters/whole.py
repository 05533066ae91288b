"""Files of a whole model, which need nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import nn
from transformers import AutoModelForSequenceClassification

from agnews_cli.learn.adapters import padding


def save(model: Any, folder: Path, base: str) -> None:
    model.save_pretrained(folder)


def open_folder(folder: Path, base: str | None, options: dict[str, Any]) -> nn.Module:
    found: Any = AutoModelForSequenceClassification.from_pretrained(
        folder, trust_remote_code=False, **options
    )
    padding.settle(found)
    return found  # type: ignore[no-any-return]
