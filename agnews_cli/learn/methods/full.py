"""Full fine-tuning: every weight is trained, and the model is all there is to deliver."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import nn
from transformers import AutoModelForSequenceClassification

from agnews_cli.core.run.method import Full
from agnews_cli.learn.kinds.method import Procedure

EXAMPLE: dict[str, object] = {}


def apply(model: nn.Module, method: Full, new: Sequence[str]) -> nn.Module:
    return model


def save(model: Any, folder: Path, base: str) -> None:
    model.save_pretrained(folder)


def open_folder(folder: Path, base: str | None, options: dict[str, Any]) -> nn.Module:
    found: nn.Module = AutoModelForSequenceClassification.from_pretrained(
        folder, trust_remote_code=False, **options
    )
    return found


PROCEDURE = Procedure(apply=apply, save=save, marker="config.json", open=open_folder)
