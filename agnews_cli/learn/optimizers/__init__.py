"""Optimizers, one module each, named by the preset's `training.optimizer`.

A module has `build(groups, lr) -> Optimizer`, and `kept(weight) -> dict[str, Kept]`: what it keeps
of a parameter, by the optimizer's own names; so a checkpoint is checked as a whole before anything
is restored.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from agnews_cli.core.run.preset import Training
from agnews_cli.learn.kinds.registry import modules
from agnews_cli.learn.models import layers
from agnews_cli.learn.state.snapshot import Kept

RATE_SHARE = "rate_share"
"""A group's own share of the learning rate."""


def build(model: nn.Module, training: Training) -> torch.optim.Optimizer:
    """Over what is trained; biases and norms (one-dimensional weights) do not decay."""
    decay = training.layer_decay
    depths = layers.depths(model) if decay < 1 else {}
    top = max(depths.values(), default=0)
    groups: dict[tuple[float, bool], list[nn.Parameter]] = {}
    for name, weight in model.named_parameters():
        if weight.requires_grad:
            share = decay ** (top - depths[name]) if depths else 1.0
            groups.setdefault((share, weight.dim() > 1), []).append(weight)
    of_groups = [
        {
            "params": groups[key],
            "weight_decay": training.weight_decay if key[1] else 0.0,
            RATE_SHARE: key[0],
        }
        for key in sorted(groups, reverse=True)  # matrices first
    ]
    found: torch.optim.Optimizer = _module(training).build(of_groups, training.lr)
    return found


def kept(training: Training) -> Callable[[torch.Tensor], dict[str, Kept]]:
    """What the optimizer keeps of a parameter."""
    found: Callable[[torch.Tensor], dict[str, Kept]] = _module(training).kept
    return found


def _module(training: Training) -> Any:
    return modules(sys.modules[__name__])[training.optimizer]
