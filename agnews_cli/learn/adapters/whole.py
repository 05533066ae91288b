"""Files of a whole model, which need nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import nn
from transformers import AutoModelForSequenceClassification


def save(model: Any, folder: Path, base: str) -> None:
    model.save_pretrained(folder)


def open_folder(folder: Path, base: str | None, options: dict[str, Any]) -> nn.Module:
    found: nn.Module = AutoModelForSequenceClassification.from_pretrained(
        folder, trust_remote_code=False, **options
    )
    return found
