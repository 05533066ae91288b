"""Full fine-tuning: every weight is trained."""

from __future__ import annotations

from torch import nn

from agnews_cli.core.preset import Method


def full(model: nn.Module, method: Method) -> nn.Module:
    """The model as it is."""
    return model
