"""Vectors that are trained: what virtual tokens are made of."""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import nn


class Vectors(nn.Module):
    """Trained themselves; `tokens`: (virtual tokens, width), or a number of these."""

    def __init__(self, tokens: torch.Tensor) -> None:
        super().__init__()
        self.tokens = nn.Parameter(tokens.detach().float().clone())

    def forward(self, number: int | None = None) -> torch.Tensor:
        return self.tokens if number is None else self.tokens[number]


class Made(nn.Module):
    """Made by three layers with ReLU between them (Liu et al. 2021, arXiv 2103.10385, 3.2; the form
    without an LSTM), of vectors that are trained as well.

    Its layers are plain parameters: the last linear layer of a model is its head.
    """

    def __init__(self, begin: torch.Tensor, width: int) -> None:
        super().__init__()
        self.begin = nn.Parameter(begin.detach().float().clone())
        sizes = [begin.shape[1], width, width, begin.shape[1]]
        layers = [nn.Linear(i, o, device=begin.device) for i, o in pairwise(sizes)]
        self.weights = nn.ParameterList([layer.weight for layer in layers])
        self.biases = nn.ParameterList([layer.bias for layer in layers])

    def forward(self, number: int | None = None) -> torch.Tensor:
        states: torch.Tensor = self.begin
        for place, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            states = F.linear(torch.relu(states) if place else states, weight, bias)
        return states
