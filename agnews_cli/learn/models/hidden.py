"""What a model makes of a text inside: the states of its last layer, as one direction.

The mean over a text's tokens depends on no tokenizer, so that two models can be compared by it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

WANTED: dict[str, Any] = {"output_hidden_states": True}
"""What a model is called with, beside the batch."""
_TINY = np.float32(1e-12)


def mean_over_tokens(states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """states: (rows, tokens, width); mask: (rows, tokens), 0 at padding. Returns (rows, width)."""
    weights = mask.unsqueeze(-1)
    return (states * weights).sum(1) / weights.sum(1)


def last_of(answer: Any, mask: torch.Tensor) -> torch.Tensor:
    """Of a model that was called with `WANTED`: its last layer's, (rows, width)."""
    return mean_over_tokens(answer.hidden_states[-1], mask)


def of_length_1(states: NDArray[np.float32]) -> NDArray[np.float32]:
    """The same directions, (rows, width)."""
    return states / np.maximum(np.linalg.norm(states, axis=1, keepdims=True), _TINY)


def distances(student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    """1 − cosine of each row, (rows,): the loss by which DistilBERT's states are turned into its
    teacher's direction (Sanh et al. 2019, arXiv 1910.01108, 2). It has no scale and no weights of
    its own, which a projection between unequal widths would have (Jiao et al. 2020, TinyBERT).
    """
    return 1 - F.cosine_similarity(student.float(), teacher.float(), dim=-1)
