"""Optimizers, one module each, named by the preset's `training.optimizer`.

A module has `build(groups, lr) -> Optimizer`, and `STATE`: what it keeps of each parameter, by the
optimizer's own name, each a scalar or of the parameter's shape; so a checkpoint is checked as a
whole before anything is restored.
"""

from __future__ import annotations

import sys
from typing import Any, Literal

import torch
from torch import nn

from agnews_cli.core.run.preset import Training
from agnews_cli.learn.kinds.registry import modules

Shape = Literal["scalar", "parameter"]


def build(model: nn.Module, training: Training) -> torch.optim.Optimizer:
    """Over what is trained; biases and norms (one-dimensional weights) do not decay."""
    weights = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in weights if p.dim() > 1], "weight_decay": training.weight_decay},
        {"params": [p for p in weights if p.dim() <= 1], "weight_decay": 0.0},
    ]
    kept = [group for group in groups if group["params"]]
    found: torch.optim.Optimizer = _module(training).build(kept, training.lr)
    return found


def state_shapes(training: Training) -> dict[str, Shape]:
    """What the optimizer keeps of each parameter."""
    found: dict[str, Shape] = _module(training).STATE
    return found


def _module(training: Training) -> Any:
    return modules(sys.modules[__name__])[training.optimizer]
