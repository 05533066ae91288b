"""Full fine-tuning: every weight is trained, and the model is all there is to deliver."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from torch import nn

from agnews_cli.core.run.preset import Full


def apply(model: nn.Module, method: Full, new: Sequence[str]) -> nn.Module:
    return model


def merge(model: nn.Module) -> None:
    pass


def save(model: nn.Module, folder: Path, base: str) -> nn.Module:
    return model
